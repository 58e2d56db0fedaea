package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// patience is how long a script waits for something to appear. It bounds
// failures; nothing waits this long when all is well.
const patience = 25 * time.Second

// TestConversations plays testdata/*.txt against the whole bot in the sandbox:
// real slack-go, MSAL, HTTP and signatures, once over each durable store.
func TestConversations(t *testing.T) {
	t.Run("bolt", func(t *testing.T) { converse(t, "") })
	t.Run("redis", func(t *testing.T) { converse(t, redistest.Start(t)) })
}

func converse(t *testing.T, redisURL string) {
	t.Helper()
	var mu sync.Mutex
	db := 0
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			st := newStory(env.WorkDir)
			if redisURL != "" {
				mu.Lock()
				st.redisURL = strings.TrimSuffix(redisURL, "/0") + "/" + strconv.Itoa(db)
				db++
				mu.Unlock()
			}
			env.Values["story"] = st
			env.Defer(func() {
				if err := st.close(); err != nil {
					env.T().Fatal(err)
				}
			})
			return st.begin()
		},
		Cmds: verbs(),
	})
}

// story is one running sandbox with one running bot.
type story struct {
	dir, redisURL string
	world         *sandbox.Sandbox
	logs          *syncBuffer
	bot           *bot
	base          string
	stop          context.CancelFunc
	stopped       chan error
	extra         []string // settings of the script
	lastCard      sandbox.Message
	usedTicket    string
	seen          sandbox.Message   // a card as somebody still has it before their eyes
	values        map[string]string // button label -> value of the last card, for presses on a closed one
	actions       map[string]string
}

func newStory(dir string) *story {
	return &story{dir: dir, logs: &syncBuffer{}, values: map[string]string{}, actions: map[string]string{}}
}

func (s *story) begin() error { return s.beginAs("") }

// beginAs is begin with a bot that signs in by a credential of that kind.
func (s *story) beginAs(credential string) error {
	world, err := sandbox.Start(sandbox.Options{Credential: credential})
	if err != nil {
		return err
	}
	s.world = world
	return s.start()
}

func (s *story) start() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.base = "http://" + l.Addr().String()
	s.world.RegisterRedirect(s.base + "/link/callback")
	var set settings
	set.assign(append(append(s.world.Env(), "STATE_FILE="+filepath.Join(s.dir, "state.db"), "REDIS_URL="+s.redisURL, "PUBLIC_URL="+s.base), s.extra...))
	c, err := set.config()
	if err != nil {
		return err
	}
	transport, err := trusting(s.world.CAPEM())
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	st, err := openStore(c)
	if err != nil {
		return err
	}
	s.bot, err = newBot(c, st, transport, log)
	if err != nil {
		return err
	}
	s.world.SetBot(s.base)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.stopped = cancel, make(chan error, 1)
	go func() { s.stopped <- s.bot.serve(ctx, l) }()
	return nil
}

func (s *story) halt() error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	s.stop = nil
	return <-s.stopped
}

func (s *story) close() error {
	return errors.Join(s.halt(), s.leaks(), s.world.Close())
}

// leaks looks for secrets in whatever a story has logged and said.
func (s *story) leaks() error {
	said, err := json.Marshal([]any{s.world.State().Messages, s.world.State().Ephemerals})
	if err != nil {
		return err
	}
	var errs []error
	for _, kv := range s.world.Env() {
		name, value, _ := strings.Cut(kv, "=")
		if strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") && !strings.Contains(name, "FILE") {
			for where, text := range map[string]string{"log": s.logs.String(), "chat": string(said)} {
				if strings.Contains(text, value) {
					errs = append(errs, fmt.Errorf("the %s has %s", where, name))
				}
			}
		}
	}
	for _, secret := range []string{"Bearer ", "xoxb-", "eyJ", "@contoso.com", "/commands/T", "/actions/T", "ticket="} {
		if strings.Contains(s.logs.String(), secret) {
			errs = append(errs, fmt.Errorf("the log has %q", secret))
		}
	}
	return errors.Join(errs...)
}

// await waits for a state for which cond holds, or fails the script.
func (s *story) await(ts *testscript.TestScript, what string, cond func(sandbox.State) bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	state, err := s.world.Await(ctx, cond)
	if err != nil {
		ts.Fatalf("waited for %s in vain\nchat:\n%s\nbot's log:\n%s", what, chat(state), s.logs.String())
	}
}

// chat prints what there is to see, for failures.
func chat(state sandbox.State) string {
	var b strings.Builder
	for _, m := range state.Messages {
		indent := ""
		if m.ThreadTS != "" && m.ThreadTS != m.TS {
			indent = "    "
		}
		fmt.Fprintf(&b, "%s[%s %s] %s %v\n", indent, m.Channel, m.TS, m.Plain, m.Buttons)
	}
	for _, e := range state.Ephemerals {
		fmt.Fprintf(&b, "(only %s, %s) %s\n", e.To, e.Via, e.Plain)
	}
	return b.String()
}

const incident = "C0INCIDENT"

func isReply(m sandbox.Message) bool { return m.ThreadTS != "" && m.ThreadTS != m.TS }

// card is the newest message with no parent, and the buttons it has are kept for
// later presses on it.
func (s *story) noteCard(state sandbox.State) (sandbox.Message, bool) {
	for i := len(state.Messages) - 1; i >= 0; i-- {
		m := state.Messages[i]
		if isReply(m) || strings.HasPrefix(m.Channel, "D") {
			continue
		}
		for _, b := range m.Buttons {
			s.values[b.Text], s.actions[b.Text] = b.Value, b.ActionID
		}
		s.lastCard = m
		return m, true
	}
	return sandbox.Message{}, false
}

var sentences = regexp.MustCompile(`We couldn't find the user|We successfully signed out|It can take up to an hour to sign out|Sorry, something went wrong and we couldn't sign out|The cmdlet will be available in the future`)

func verbs() map[string]func(*testscript.TestScript, bool, []string) {
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"card":    cardVerb,
		"buttons": buttonsVerb,
		"thread":  threadVerb,
		"results": resultsVerb,
		"revoked": revokedVerb,
		"fault":   faultVerb,
		"role":    roleVerb,
		"bot":     botVerb,
		"record":  recordVerb,
		"cards":   cardsVerb,
		"calls":   callsVerb,
		"replay":  replayVerb,
		"ready":   readyVerb,
		"tenant":  tenantVerb,
		"sp":      sharePointVerb,
		"rename":  renameVerb,
		"log":     logVerb,
		"join":    joinVerb,
		"slack":   slackVerb,
		"freeze":  freezeVerb,
	}
	for _, person := range []string{"alice", "bob", "heidi", "grace", "oscar", "mallory", "carol", "peggy", "dave", "trent", "alice2", "robot"} {
		cmds[person] = personVerb(person)
	}
	return cmds
}

func storyOf(ts *testscript.TestScript) *story { return ts.Value("story").(*story) }

// personVerb: <person> says|pastes 'text' [channel] | clicks Label [times|oldest|seen] | sees | is told 'regexp' [times]
func personVerb(person string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := storyOf(ts)
		switch {
		case len(args) >= 2 && args[0] == "says":
			channel := incident
			if len(args) == 3 {
				channel = args[2]
			}
			d, err := s.world.Say(context.Background(), person, channel, args[1])
			s.checkDelivery(ts, neg, d, err)
		case len(args) >= 2 && args[0] == "pastes": // as Slack sends what its composer has formatted
			d, err := s.world.SayFormatted(context.Background(), person, incident, args[1])
			s.checkDelivery(ts, neg, d, err)
		case len(args) == 1 && args[0] == "sees":
			s.seen, _ = s.noteCard(s.world.State())
		case len(args) == 3 && args[0] == "clicks" && args[2] == "seen":
			d, err := s.world.PressSeen(context.Background(), person, s.seen, args[1])
			s.checkDelivery(ts, neg, d, err)
		case len(args) >= 2 && args[0] == "clicks":
			card, ok := s.noteCard(s.world.State())
			if !ok {
				ts.Fatalf("no card to click on")
			}
			times := 1
			if len(args) == 3 && args[2] == "oldest" {
				card = s.world.State().Messages[0]
			} else if len(args) == 3 {
				times = number(ts, args[2])
			}
			s.click(ts, neg, person, card, args[1], times)
		case len(args) >= 4 && args[0] == "signs" && args[1] == "in":
			s.signsIn(ts, person, args[2:])
		case len(args) >= 3 && args[0] == "is" && args[1] == "told":
			times := 1
			if len(args) == 4 {
				times = number(ts, args[3])
			}
			s.told(ts, neg, person, args[2], times)
		default:
			ts.Fatalf("usage: %s says|clicks|is told ...", person)
		}
	}
}

func (s *story) checkDelivery(ts *testscript.TestScript, neg bool, d sandbox.Delivery, err error) {
	ts.Check(err)
	// Slack waits this long. A handler that waited for Slack or Microsoft while they
	// hang would take longer still; how fast it is, BenchmarkAcknowledge tells.
	if d.Took > 3*time.Second {
		ts.Fatalf("Slack had its answer after %v, later than 3 s", d.Took)
	}
	if ok := d.Err == nil && d.Status == http.StatusOK; ok == neg {
		ts.Fatalf("delivery: status %d, %v, body %q", d.Status, d.Err, d.Body)
	}
}

func (s *story) click(ts *testscript.TestScript, neg bool, person string, card sandbox.Message, label string, times int) {
	if s.values[label] == "" {
		ts.Fatalf("the card never had a button %s", label)
	}
	type result struct {
		d   sandbox.Delivery
		err error
	}
	results := make(chan result, times)
	for range times {
		go func() {
			d, err := s.world.PressValue(context.Background(), person, card.Channel, card.TS, s.actions[label], s.values[label])
			results <- result{d, err}
		}()
	}
	for range times {
		r := <-results
		s.checkDelivery(ts, neg, r.d, r.err)
	}
}

func (s *story) told(ts *testscript.TestScript, neg bool, person, pattern string, times int) {
	re := compile(ts, pattern)
	count := func(state sandbox.State) int {
		n := 0
		for _, e := range state.Ephemerals {
			if e.To == person && re.MatchString(e.Plain) {
				n++
			}
		}
		for _, m := range state.Messages { // a direct message is as private
			if strings.HasPrefix(m.Channel, "D0"+strings.ToUpper(person)) && re.MatchString(m.Plain) {
				n++
			}
		}
		return n
	}
	if neg {
		if n := count(s.world.State()); n > 0 {
			ts.Fatalf("%s was told %q\n%s", person, pattern, chat(s.world.State()))
		}
		return
	}
	s.await(ts, fmt.Sprintf("%s to be told %q %d times", person, pattern, times), func(state sandbox.State) bool { return count(state) >= times })
}

func cardVerb(ts *testscript.TestScript, neg bool, args []string) {
	s := storyOf(ts)
	if neg {
		if m, ok := s.noteCard(s.world.State()); ok && (len(args) == 0 || compile(ts, args[0]).MatchString(m.Plain)) {
			ts.Fatalf("there is a card: %s", m.Plain)
		}
		return
	}
	re := compile(ts, args[0])
	s.await(ts, "a card that says "+args[0], func(state sandbox.State) bool {
		m, ok := s.noteCard(state)
		return ok && re.MatchString(m.Plain)
	})
}

func cardsVerb(ts *testscript.TestScript, _ bool, args []string) {
	want := number(ts, args[0])
	storyOf(ts).await(ts, args[0]+" cards", func(state sandbox.State) bool {
		n := 0
		for _, m := range state.Messages {
			if !isReply(m) && !strings.HasPrefix(m.Channel, "D") {
				n++
			}
		}
		return n == want
	})
}

// buttonsVerb: exactly these buttons stand on the card; none: no arguments.
func buttonsVerb(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	s.await(ts, fmt.Sprintf("buttons %v", args), func(state sandbox.State) bool {
		m, ok := s.noteCard(state)
		var have []string
		for _, b := range m.Buttons {
			have = append(have, b.Text)
		}
		return ok && strings.Join(have, " ") == strings.Join(args, " ")
	})
}

func threadVerb(ts *testscript.TestScript, neg bool, args []string) {
	s := storyOf(ts)
	re := compile(ts, args[0])
	match := func(state sandbox.State) bool {
		card, ok := s.noteCard(state)
		for _, m := range state.Messages {
			if ok && isReply(m) && m.ThreadTS == card.TS && re.MatchString(m.Plain) {
				return true
			}
		}
		return false
	}
	if neg {
		if match(s.world.State()) {
			ts.Fatalf("the thread says %q\n%s", args[0], chat(s.world.State()))
		}
		return
	}
	s.await(ts, "a thread that says "+args[0], match)
}

// resultsVerb counts documented results in all threads.
func resultsVerb(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	state := storyOf(ts).world.State()
	for _, m := range state.Messages {
		if isReply(m) && sentences.MatchString(m.Plain) {
			n++
		}
	}
	if n != number(ts, args[0]) {
		ts.Fatalf("%d results, want %s\n%s", n, args[0], chat(state))
	}
}

func revokedVerb(ts *testscript.TestScript, _ bool, args []string) {
	state := storyOf(ts).world.State()
	if n := state.Revoked[args[0]]; n != number(ts, args[1]) {
		ts.Fatalf("%s was revoked %d times, want %s", args[0], n, args[1])
	}
}

// callsVerb: how many calls a system has seen whose "METHOD path" contains a text.
func callsVerb(ts *testscript.TestScript, _ bool, args []string) {
	n := 0
	for _, c := range storyOf(ts).world.State().Calls {
		if strings.EqualFold(c.System, args[0]) && strings.Contains(c.Method+" "+c.Path, args[1]) {
			n++
		}
	}
	if n != number(ts, args[2]) {
		ts.Fatalf("%d calls of %s to %s, want %s", n, args[1], args[0], args[2])
	}
}

// faultVerb: fault <system> <match> status=.. code=.. delay=.. after=.. times=.. drop hang | fault clear
func faultVerb(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	if args[0] == "clear" {
		s.world.ClearFaults()
		return
	}
	f := sandbox.Fault{Name: strings.Join(args, " "), System: args[0], Match: args[1]}
	for _, a := range args[2:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "status":
			f.Status = number(ts, value)
		case "code":
			f.Code = value
		case "times":
			f.Times = number(ts, value)
		case "delay", "after":
			d, err := time.ParseDuration(value)
			ts.Check(err)
			if key == "delay" {
				f.Delay = d
			} else {
				f.RetryAfter = d
			}
		case "drop":
			f.Drop = true
		case "hang":
			f.Hang = true
		default:
			ts.Fatalf("unknown fault %q", a)
		}
	}
	s.world.SetFault(f)
}

func roleVerb(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(storyOf(ts).world.SetRole(args[0], args[1] == "on"))
}

// botVerb: bot stops | starts [SETTING=value ...]
func botVerb(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	switch args[0] {
	case "stops":
		ts.Check(s.halt())
	case "starts":
		s.extra = args[1:]
		ts.Check(s.start())
	case "restarts":
		ts.Check(s.halt())
		s.extra = args[1:]
		ts.Check(s.start())
	default:
		ts.Fatalf("usage: bot stops|starts|restarts")
	}
}

// tenantVerb: tenant <credential> [SETTING=value ...]: everything begins anew, with a
// bot that signs in like that.
func tenantVerb(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	ts.Check(s.close())
	s.extra = args[1:]
	ts.Check(s.beginAs(args[0]))
}

// sharePointVerb: sp <person> state <n> | sp disabled | sp moves graph | sp revoked <upn> <n>
func sharePointVerb(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	switch {
	case len(args) == 3 && args[1] == "state":
		ts.Check(s.world.SetSharePointState(args[0], number(ts, args[2])))
	case len(args) == 1 && args[0] == "disabled":
		s.world.SetSharePointDisabled(true)
	case len(args) == 2 && args[0] == "moves":
		s.world.SetSharePointMovesGraph(true)
	case len(args) == 3 && args[0] == "revoked":
		if n := s.world.State().SharePointRevoked[args[1]]; n != number(ts, args[2]) {
			ts.Fatalf("%s was revoked %d times by SharePoint, want %s", args[1], n, args[2])
		}
	default:
		ts.Fatalf("usage: sp <person> state <n> | disabled | moves graph | revoked <upn> <n>")
	}
}

func renameVerb(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(storyOf(ts).world.SetUPN(args[0], args[1]))
}

// logVerb: what the bot's log comes to say, or does not say.
func logVerb(ts *testscript.TestScript, neg bool, args []string) {
	re, deadline := compile(ts, args[0]), time.Now().Add(patience)
	for !neg && !re.MatchString(storyOf(ts).logs.String()) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if re.MatchString(storyOf(ts).logs.String()) == neg {
		ts.Fatalf("the bot's log: %s", storyOf(ts).logs.String())
	}
}

func replayVerb(ts *testscript.TestScript, neg bool, _ []string) {
	s := storyOf(ts)
	d, err := s.world.Replay(context.Background())
	s.checkDelivery(ts, neg, d, err)
}

func readyVerb(ts *testscript.TestScript, neg bool, _ []string) {
	want := http.StatusOK
	if neg {
		want = http.StatusServiceUnavailable
	}
	ts.Check(awaitReadiness(storyOf(ts).base, want))
}

// recordVerb stops the bot, verifies the audit chain of its store, and looks for
// lines whose event and decision are as given, any number of pairs, in order.
func recordVerb(ts *testscript.TestScript, _ bool, want []string) {
	s := storyOf(ts)
	ts.Check(s.halt())
	lines, err := s.records()
	ts.Check(err)
	var have []string
	for _, line := range lines {
		var e audit.Entry
		ts.Check(json.Unmarshal(line, &e))
		if e.Event == "shown" { // which may come before or after the halt
			continue
		}
		have = append(have, strings.TrimSuffix(e.Event+":"+e.Decision, ":"))
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		ts.Fatalf("the record says %v, want %v", have, want)
	}
}

func (s *story) records() (lines [][]byte, err error) {
	collect := func(all func(func([]byte, error) bool)) error {
		_, err := audit.Against{}.Verify(func(yield func([]byte, error) bool) {
			all(func(line []byte, err error) bool {
				lines = append(lines, line)
				return yield(line, err)
			})
		})
		return err
	}
	if s.redisURL != "" {
		r, err := store.OpenRedis(s.redisURL, 0, audit.Chain)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return lines, collect(r.Records(context.Background(), 1))
	}
	b, err := store.OpenBolt(filepath.Join(s.dir, "state.db"), audit.Chain, time.Now)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	err = collect(b.Records(context.Background(), 1))
	return lines, err
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func compile(ts *testscript.TestScript, pattern string) *regexp.Regexp {
	re, err := regexp.Compile("(?s)" + pattern)
	ts.Check(err)
	return re
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
