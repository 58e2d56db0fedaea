package main

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/sandbox"
)

const gateTarget = "mallory@contoso.com"

// gateCells says what becomes of everything that anybody can do. A word in lower case
// is an outcome of gateOutcomes; dave's Slack account is deactivated, robot is a bot
// user, grace a guest, oscar comes through Slack Connect, and foreign is bob in a
// delivery of another workspace. Mallory is the target, and an administrator; a card about
// her is open when she freezes.
var gateCells = map[string]string{
	"email": `
          command   what-if   alone     link      Confirm   Cancel    What-If   freeze    unlink
alice     card      shown     ran       by-email  own       canceled  planned   frozen    by-email
bob       card      shown     ran       by-email  runs      canceled  planned   frozen    by-email
carol     card      shown     ran       by-email  runs      canceled  planned   frozen    by-email
alice2    nobody    nobody    nobody    by-email  nobody    nobody    nobody    nobody    by-email
mallory   card      shown     ran       by-email  about     about     planned   accused   by-email
heidi     no-admin  no-admin  no-admin  by-email  no-admin  no-admin  no-admin  no-admin  by-email
trent     blocked   blocked   blocked   by-email  blocked   blocked   blocked   blocked   by-email
peggy     eligible  eligible  eligible  by-email  eligible  eligible  eligible  eligible  by-email
grace     guest     guest     guest     by-email  guest     guest     guest     guest     by-email
dave      gone      gone      gone      by-email  gone      gone      gone      gone      by-email
robot     bot       bot       bot       by-email  bot       bot       bot       bot       by-email
oscar     outside   outside   outside   by-email  outside   outside   outside   outside   by-email
foreign   foreign   foreign   foreign   foreign   foreign   foreign   foreign   foreign   foreign
`,
	// Carol is an administrator who has not linked an account. Alice2 has linked
	// alice's, so they are alice.
	"link": `
          command   what-if   alone     link      Confirm   Cancel    What-If   freeze    unlink
alice     card      shown     ran       linked    own       canceled  planned   frozen    ended
bob       card      shown     ran       linked    runs      canceled  planned   frozen    ended
carol     unlinked  unlinked  unlinked  unlinked  unlinked  unlinked  unlinked  unlinked  no-link
alice2    card      shown     ran       linked    own       canceled  planned   frozen    ended
mallory   card      shown     ran       linked    about     about     planned   accused   ended
heidi     no-admin  no-admin  no-admin  linked    no-admin  no-admin  no-admin  no-admin  ended
trent     blocked   blocked   blocked   linked    blocked   blocked   blocked   blocked   ended
peggy     eligible  eligible  eligible  linked    eligible  eligible  eligible  eligible  ended
grace     guest     guest     guest     guest     guest     guest     guest     guest     no-link
dave      gone      gone      gone      gone      gone      gone      gone      gone      no-link
robot     bot       bot       bot       bot       bot       bot       bot       bot       no-link
oscar     outside   outside   outside   outside   outside   outside   outside   outside   no-link
foreign   foreign   foreign   foreign   foreign   foreign   foreign   foreign   foreign   foreign
`,
}

// gateOutcome is what is seen of an outcome: by whoever did it, by all, in the record.
type gateOutcome struct {
	refused string // why; "" if it is allowed
	answer  string // what the person alone is told; "" if nothing
	card    string // what the card, a new one for a command, comes to say
	thread  string // and its thread
	revoked int
	also    string // a line of the record besides that of the command or press
	silent  bool   // no line at all: the delivery was turned away at the door
}

var gateOutcomes = map[string]gateOutcome{
	"card":     {card: "Sign out everywhere: " + gateTarget},
	"shown":    {answer: `What if: Performing the operation.*Nothing was run, and no card was posted`},
	"ran":      {card: "NO SECOND PERSON CONFIRMED", thread: "It can take up to an hour to sign out " + gateTarget, revoked: 1},
	"runs":     {card: "confirmed by", thread: "It can take up to an hour to sign out " + gateTarget, revoked: 1},
	"canceled": {card: "Canceled: " + gateTarget},
	"planned":  {thread: `What if: Performing the operation.*Nothing was run`},
	"frozen":   {answer: "^Frozen: nothing is run any more"},
	"linked":   {answer: "^Your Slack account is linked to"},
	"ended":    {answer: "^Unlinked", also: "unlink allowed "},
	"no-link":  {answer: "not linked to any Microsoft account, so there was nothing to remove"},

	"by-email": {refused: "link-not-used", answer: `IDENTITY=email\), so there is nothing to link`},
	"own":      {refused: "own-request", answer: "^You asked for this yourself, so you can't confirm it"},
	"accused":  {refused: "own-account", answer: "^A card about your own account is open, so you can't freeze"},
	"about":    {refused: "own-account", answer: "^This is about your own account, so you can neither confirm nor cancel it"},
	"no-admin": {refused: "not-administrator", answer: "^You are not an active Global Administrator right now, so nothing was done"},
	"eligible": {refused: "not-administrator", answer: "^Global Administrator is .?eligible.? for you, which is not active, so nothing was done"},
	"nobody":   {refused: "not-verified", answer: "No Entra account has your Slack e-mail address"},
	"blocked":  {refused: "not-verified", answer: "Your Entra account is blocked from signing in"},
	"guest":    {refused: "not-verified", answer: "Guests of this Slack workspace can't use this bot"},
	"gone":     {refused: "not-verified", answer: "Your Slack account is deactivated"},
	"bot":      {refused: "not-verified", answer: "Only people can use this bot"},
	"outside":  {refused: "not-verified", answer: "You are not a member of this Slack workspace"},
	"unlinked": {refused: "not-verified", answer: "I don't know yet which Microsoft account is yours"},
	"foreign":  {silent: true, answer: "^This app is not set up for your workspace. Nothing was done.$"},
}

// unknownToGate are those of whom no Entra account gets to be known.
var unknownToGate = map[string][]string{
	"email": {"alice2", "grace", "dave", "robot", "oscar"},
	"link":  {"carol", "grace", "dave", "robot", "oscar"},
}

var gateCommands = map[string]string{
	"command": gateTarget, "what-if": gateTarget + " -WhatIf", "alone": gateTarget + ` -Confirm:$false -Reason "INC-42"`,
	"link": "link", "unlink": "unlink", "freeze": "freeze",
}

// TestGateMatrix does everything that can be done as everybody who could try, over a
// running bot. All cells of a mode share it, in the order of the columns, so that what
// one leaves behind would show in the next one.
func TestGateMatrix(t *testing.T) {
	for mode, cells := range gateCells {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			g := newGateRig(t, mode)
			rows := strings.Split(strings.TrimSpace(cells), "\n")
			for i, action := range strings.Fields(rows[0]) {
				for _, row := range rows[1:] {
					person, word := strings.Fields(row)[0], strings.Fields(row)[i+1]
					want, ok := gateOutcomes[word]
					if !ok {
						t.Fatalf("no outcome %q", word)
					}
					t.Run(action+"/"+person, func(t *testing.T) { g.cell(t, action, person, want) })
				}
			}
			g.halt() // what was still under way is written now
			if more := g.world.State(); revocations(more) != g.revoked || len(g.newAnswers()) > 0 {
				t.Errorf("afterwards %d revocations, want %d\n%s", revocations(more), g.revoked, chat(more))
			}
		})
	}
}

type gateRig struct {
	*rig
	mode    string
	card    sandbox.Message // waits, if it has a TS
	frozen  bool
	revoked int
}

func newGateRig(t *testing.T, mode string) *gateRig {
	t.Helper()
	g := &gateRig{rig: startRig(t, "IDENTITY="+mode, "ALLOW_UNCONFIRMED=true"), mode: mode}
	if err := g.world.Join("carol", "peggy", "dave", "trent", "alice2", "robot"); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(g.world.SetRole("mallory", true))
	if mode == "link" {
		must(g.world.SetEnabled("trent", true)) // was linked before it was blocked
		for _, person := range []string{"alice", "bob", "alice2", "mallory", "heidi", "peggy", "trent"} {
			g.link(person, person)
		}
		must(g.world.SetEnabled("trent", false))
	}
	g.look()
	return g
}

// cell does one thing as one person and looks at all that comes of it.
func (g *gateRig) cell(t *testing.T, action, person string, want gateOutcome) {
	outer := g.t
	g.t = t
	defer func() { g.t = outer }()

	isPress := gateCommands[action] == ""
	if isPress && g.card.TS == "" {
		g.card = g.ask(gateTarget)
		g.look()
	}
	before := len(g.world.State().Messages)
	to := g.act(action, person, isPress)

	card := g.card
	cardRE, threadRE, answerRE := regexp.MustCompile("(?i)"+want.card), regexp.MustCompile("(?s)"+want.thread), regexp.MustCompile("(?s)"+want.answer)
	g.await(fmt.Sprintf("%+v", want), func(s sandbox.State) bool {
		if !isPress {
			if want.card == "" {
				return gateAnswered(s.Ephemerals[g.answers:], to, answerRE, want.silent)
			}
			var ok bool
			if card, ok = newCard(s, before, cardRE); !ok {
				return false
			}
		}
		return (want.answer == "" || gateAnswered(s.Ephemerals[g.answers:], to, answerRE, want.silent)) &&
			cardRE.MatchString(cardNow(s, card)) &&
			(want.thread == "" || inThread(s, card, threadRE))
	})
	g.checkCell(action, person, to, isPress, want)
	g.tidy(action, person, isPress, card, want)
}

// act delivers what person does. It returns whom the answer has to reach.
func (g *gateRig) act(action, person string, isPress bool) string {
	g.t.Helper()
	team, who := "", person
	if person == "foreign" {
		team, who = "T0ELSEWHERE", "bob"
	}
	if !isPress {
		g.taken(g.world.SayTwisted(g.t.Context(), who, incident, "/revoke-session "+gateCommands[action], func(f url.Values) {
			if team != "" {
				f.Set("team_id", team)
			}
		}))
		return who
	}
	button := g.card.Buttons[slices.IndexFunc(g.card.Buttons, func(b sandbox.Button) bool { return b.Text == action })]
	g.taken(g.world.PressTwisted(g.t.Context(), who, incident, g.card.TS, button.ActionID, button.Value, func(payload map[string]any) {
		if team != "" {
			payload["team"] = map[string]any{"id": team}
			payload["user"].(map[string]any)["team_id"] = team
		}
	}))
	return who
}

// gateAnswered reports whether a person alone was told something. To a command that is
// turned away at the door it is the answer to the delivery.
func gateAnswered(answers []sandbox.Ephemeral, person string, re *regexp.Regexp, atOnce bool) bool {
	return slices.ContainsFunc(answers, func(e sandbox.Ephemeral) bool {
		return e.To == person && (atOnce || e.Via != "command") && re.MatchString(e.Plain)
	})
}

func (g *gateRig) checkCell(action, person, to string, isPress bool, want gateOutcome) {
	g.t.Helper()
	answers := g.newAnswers()
	wanted := 1
	if want.answer == "" || want.silent && !isPress {
		wanted = 0
	}
	if len(answers) != wanted || wanted == 1 && answers[0].To != to {
		g.t.Errorf("private answers: %+v, want %d to %s", answers, wanted, to)
	}
	id := g.world.ObjectID(to)
	if slices.Contains(unknownToGate[g.mode], person) {
		id = ""
	}
	var have []string
	for _, e := range g.decisions() {
		have = append(have, fmt.Sprintf("%s %s %s", e.Event, e.Decision, e.Reason))
		g.checkActor(e, to, id)
	}
	if lines := g.wantLines(action, want); !slices.Equal(have, lines) {
		g.t.Errorf("the record says %q, want %q", have, lines)
	}
	g.revoked += want.revoked
	if n := revocations(g.world.State()); n != g.revoked {
		g.t.Errorf("%d revocations so far, want %d", n, g.revoked)
		g.revoked = n
	}
}

func (g *gateRig) checkActor(e audit.Entry, person, id string) {
	g.t.Helper()
	slackID := "U0" + strings.ToUpper(person) + "042"
	how := g.mode
	if id == "" {
		how = ""
	}
	if a := e.Actor; a.Slack.User != slackID || a.Slack.Team != "T0CONTOSO" || a.ObjectID != id || string(a.Identified) != how {
		g.t.Errorf("the record's actor is %+v, want %s with object id %q by %q", a, slackID, id, how)
	}
}

// wantLines are the decisions of the record. The first freeze is one by itself.
func (g *gateRig) wantLines(action string, want gateOutcome) []string {
	if want.silent {
		return nil
	}
	event := strings.ToLower(action)
	switch action {
	case "alone":
		event = "command"
	case "what-if", "freeze", "link", "unlink":
		event = "command " + action
	}
	line := event + " refused " + want.refused
	if want.refused == "" {
		line = event + " allowed "
	}
	lines := []string{line}
	if want.also != "" {
		lines = []string{want.also, line}
	}
	if action == "freeze" && want.refused == "" && !g.frozen {
		g.frozen, lines = true, []string{"freeze allowed ", line}
	}
	return lines
}

// tidy leaves no card behind that the next cell would meet.
func (g *gateRig) tidy(action, person string, isPress bool, card sandbox.Message, want gateOutcome) {
	g.t.Helper()
	if want.refused != "" || want.silent || want.card == "" && want.thread == "" {
		return
	}
	if action == "command" || action == "What-If" {
		if isPress {
			person = "alice"
		}
		g.press(person, card, "Cancel")
		g.await("the card to be closed", func(s sandbox.State) bool { return strings.Contains(cardNow(s, card), "Canceled: ") })
		g.look()
	}
	g.card = sandbox.Message{}
}
