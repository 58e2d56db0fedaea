package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// crashRedisRelay is the way of one replica to Redis. It reads the commands that pass,
// and the watch may strike before or after a script that writes.
type crashRedisRelay struct {
	watch  *crashWatch
	member *crashMember
	listen net.Listener

	mu       sync.Mutex
	upstream string
	conns    []net.Conn
}

func newCrashRedisRelay(w *crashWatch, m *crashMember, upstream string) (*crashRedisRelay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &crashRedisRelay{watch: w, member: m, listen: l, upstream: upstream}
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(down)
		}
	}()
	return r, nil
}

// lead leads new connections to another server.
func (r *crashRedisRelay) lead(upstream string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upstream = upstream
}

func (r *crashRedisRelay) close() {
	_ = r.listen.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
}

func (r *crashRedisRelay) serve(down net.Conn) {
	defer down.Close()
	r.mu.Lock()
	upstream := r.upstream
	r.mu.Unlock()
	up, err := net.Dial("tcp", upstream)
	if err != nil {
		return
	}
	defer up.Close()
	r.mu.Lock()
	r.conns = append(r.conns, down, up)
	r.mu.Unlock()

	l := r.member.now()
	awaited := make(chan crashMoment, 1) // the script whose answer comes next
	go r.answers(l, up, down, awaited)
	in := bufio.NewReaderSize(down, 64<<10)
	for {
		raw, args, err := readCommand(in)
		if err != nil {
			return
		}
		if what := crashScriptName(args); what != "" {
			n, goesOn := r.watch.begin(l, what)
			if !goesOn {
				return
			}
			select { // go-redis sends no other script before it has the answer
			case awaited <- crashMoment{what, n, crashAfter}:
			default:
			}
		}
		if _, err := up.Write(raw); err != nil {
			return
		}
	}
}

func (r *crashRedisRelay) answers(l *crashLife, up, down net.Conn, awaited <-chan crashMoment) {
	defer down.Close()
	defer up.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		select {
		case m := <-awaited:
			if !r.watch.pass(l, m) {
				return
			}
		default:
		}
		if _, err := down.Write(buf[:n]); err != nil {
			return
		}
	}
}

// readCommand reads one command in the form of an array of strings, the only one that
// clients use.
func readCommand(in *bufio.Reader) (raw []byte, args []string, err error) {
	number := func(kind byte) (int, error) {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		raw = append(raw, line...)
		if line[0] != kind {
			return 0, errors.New("not a command")
		}
		return strconv.Atoi(strings.TrimSpace(string(line[1:])))
	}
	n, err := number('*')
	if err != nil {
		return nil, nil, err
	}
	for range n {
		size, err := number('$')
		if err != nil {
			return nil, nil, err
		}
		word := make([]byte, size+2)
		if _, err := io.ReadFull(in, word); err != nil {
			return nil, nil, err
		}
		raw, args = append(raw, word...), append(args, string(word[:size]))
	}
	return raw, args, nil
}

// crashScriptName names the scripts that write: EVALSHA hash keys key... argument...
// Of a swap the third argument is the request as it will be.
func crashScriptName(args []string) string {
	if len(args) < 9 || !strings.EqualFold(args[0], "EVALSHA") {
		return ""
	}
	switch args[2] {
	case "4":
		var r struct{ State string }
		_ = json.Unmarshal([]byte(args[9]), &r) // without a state it is named so
		return "Redis swap to " + r.State
	case "2":
		if crashDue(args[len(args)-1]) {
			return "Redis claim"
		}
	}
	return ""
}

// crashDue tells a claim from a poll that finds nothing due: the last argument is when
// the request is.
func crashDue(score string) bool {
	micros, err := strconv.ParseInt(score, 10, 64)
	return err == nil && !time.UnixMicro(micros).After(time.Now())
}
