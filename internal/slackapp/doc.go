// Package slackapp is everything Slack, and only translation: signed deliveries
// (http.go, signature.go) into commands (words.go, markup.go, binding.go, command.go) and
// presses (action.go), Slack users and channels into facts (caller.go, place.go),
// requests into messages (card.go, message.go, with the words of results.go, wording.go
// and people.go), and messages into the channel (reporter.go, thread.go, reply.go).
//
// It decides nothing about who may do what. It is the only importer of slack-go.
package slackapp
