// Package slackapp is everything Slack, and only translation: signed deliveries
// into commands and presses (http.go, signature.go, command.go, action.go), Slack
// users and channels into facts (caller.go), requests into messages (message.go,
// wording.go), and messages into the channel (reporter.go, thread.go, reply.go).
//
// It decides nothing about who may do what. It is the only importer of slack-go
// beside main.
package slackapp
