package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser starts Chromium for a test, or skips the test where there is none and
// CI is not set.
func browser(t *testing.T, width, height int) context.Context {
	t.Helper()
	var bin string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			bin = path
			break
		}
	}
	if bin == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("no Chromium, and CI is set")
		}
		t.Skip("skipped: no Chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.WindowSize(width, height),
		chromedp.Flag("disable-quic", true), chromedp.Flag("force-prefers-reduced-motion", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()))
	alloc, cancelAlloc := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancelAlloc)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // starts it; a time limit here would be the browser's
		t.Fatal(err)
	}
	ctx, cancelTime := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancelTime)
	return ctx
}

func testID(id string) chromedp.CSS { return chromedp.CSS(`[data-testid="` + id + `"]`) }

// clickOn waits for an element that can be seen, and clicks on it.
func clickOn(id string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.WaitVisible(testID(id)), chromedp.Click(testID(id)))
}

func empty(id string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := chromedp.Evaluate[string](fmt.Sprintf(`document.querySelector('%s').value = ''`, testID(id)))(ctx, target)
		return err
	})
}

// saysIn waits until some element with the id has a text.
func saysIn(id, text string) chromedp.Action[chromedp.Void] {
	some := fmt.Sprintf(`[...document.querySelectorAll('%s')].some(e => e.textContent.includes(%q))`, testID(id), text)
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := chromedp.Poll[bool](some)(ctx, target); err != nil {
			return fmt.Errorf("waiting for %s to say %q: %w", id, text, err)
		}
		return nil
	})
}

// One person at a real browser plays two administrators, on the page that
// `bot sandbox` shows, from the typed command to the threaded result.
func TestSandboxPageInABrowser(t *testing.T) {
	for name, size := range map[string][2]int{"desktop": {1280, 900}, "phone": {390, 844}} {
		t.Run(name, func(t *testing.T) {
			st := newStory(t.TempDir())
			if err := st.begin(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := st.close(); err != nil {
					t.Error(err)
				}
			})
			ctx := browser(t, size[0], size[1])
			err := chromedp.Do(ctx,
				chromedp.Navigate(st.world.PageURL()),
				clickOn("person-alice"),
				empty("composer"), // the page offers the command; here it is typed
				chromedp.SendKeys(testID("composer"), "/revoke-session mallory@contoso.com"),
				clickOn("send"),
				saysIn("ephemeral", "Recorded."),
				saysIn("message", "Sign out everywhere: mallory@contoso.com"),

				// Her own request: refused, and only she sees it.
				clickOn("button-Confirm"),
				chromedp.WaitVisible(testID("dialog")),
				saysIn("dialog", "mallory@contoso.com"),
				clickOn("dialog-yes"),
				saysIn("ephemeral", "You asked for this yourself"),

				clickOn("person-bob"),
				clickOn("button-Confirm"),
				clickOn("dialog-yes"),
				saysIn("reply", "It can take up to an hour to sign out mallory@contoso.com from all devices."),
				chromedp.WaitNotPresent(testID("button-Confirm")),
				saysIn("revoked-mallory", "1"),
			)
			if err != nil {
				t.Fatalf("%v\n%s", err, chat(st.world.State()))
			}
			if n := st.world.State().Revoked["mallory@contoso.com"]; n != 1 {
				t.Errorf("revoked %d times, want 1", n)
			}
			if dir := os.Getenv("SCREENSHOTS"); dir != "" {
				shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "sandbox-"+name+".png"), shot, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// `bot sandbox` itself prints where its page is and ends in order.
func TestSandboxCommand(t *testing.T) {
	for _, revoker := range []string{"graph", "both"} {
		t.Run(revoker, func(t *testing.T) { sandboxRuns(t, revoker) })
	}
}

func sandboxRuns(t *testing.T, revoker string) {
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr syncBuffer
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"sandbox", "--page=127.0.0.1:0", "--revoker=" + revoker}, &stdout, &stderr)
	}()
	deadline := time.Now().Add(patience)
	for !strings.Contains(stdout.String(), "Try:") && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	_, rest, ok := strings.Cut(stdout.String(), "Sandbox: ")
	address, _, _ := strings.Cut(rest, "\n")
	if !ok {
		t.Fatalf("no address in %q\n%s", stdout.String(), stderr.String())
	}
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("page: %d", resp.StatusCode)
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d\n%s", code, stderr.String())
	}
}
