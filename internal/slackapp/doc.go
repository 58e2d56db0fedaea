// Package slackapp is everything Slack, and only translation: signed deliveries
// into commands and presses (http.go, signature.go, words.go, binding.go, command.go,
// action.go), Slack
// users and channels into facts (caller.go), requests into messages (card.go, message.go,
// wording.go, results.go), and messages into the channel (reporter.go, thread.go, reply.go).
//
// It decides nothing about who may do what. It is the only importer of slack-go
// beside main.
package slackapp
