// Package sandbox holds stand-ins for Slack, Entra ID's sign-in and token
// endpoints, an App Service's managed identity, Microsoft Graph and the
// SharePoint admin site, and a web page that looks like a Slack incident channel
// with the tenant beside it. The product is demonstrated and tested against
// them.
//
// The room must not know the product: it shares no type, constant or helper
// with it and is reached over HTTP only, so that a mistake in a JSON tag, a
// signature or a URL cannot cancel itself out. The one thing that travels
// otherwise is what an operator would put on a disk, too: the files of a
// certificate or of a federated token. A stand-in refuses what the real service
// refuses; where the real behavior is not documented it takes the stricter
// reading and says that no source shows it.
package sandbox
