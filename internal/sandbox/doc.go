// Package sandbox holds stand-ins for Slack, the Entra ID token endpoint and
// Microsoft Graph, and a web page that looks like a Slack incident channel with
// the tenant beside it. The product is demonstrated and tested against them.
//
// The room must not know the product: it shares no type, constant or helper
// with it and is reached over HTTP only, so that a mistake in a JSON tag, a
// signature or a URL cannot cancel itself out. A stand-in refuses what the real
// service refuses; where the real behavior is not documented it takes the
// stricter reading.
package sandbox
