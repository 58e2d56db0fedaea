package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// The README and .env.example know every setting, and no other.
func TestDocsNameEverySetting(t *testing.T) {
	names := map[string]bool{"SSL_CERT_FILE": true} // Go's own
	for f := range reflect.TypeFor[settings]().Fields() {
		names[f.Tag.Get("env")] = true
	}
	for file, pattern := range map[string]string{
		"README.md": "(?m)^\\| `([A-Z_]+)` \\|", ".env.example": `(?m)^#?([A-Z_]+)=`,
	} {
		text := read(t, file)
		seen := map[string]bool{}
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			seen[m[1]] = true
			if !names[m[1]] {
				t.Errorf("%s names %s, which is no setting", file, m[1])
			}
		}
		for name := range names {
			inAnotherRow := file == "README.md" && name == "STATE_DIRECTORY"
			if !seen[name] && !inAnotherRow {
				t.Errorf("%s does not name %s", file, name)
			}
		}
	}
}

// Links within the repository lead somewhere.
func TestDocsLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)\)`)
	for _, file := range []string{
		"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/command.md", "docs/operations.md", "docs/security.md", "manifests/slack/README.md", "manifests/entra/README.md",
	} {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			if strings.HasPrefix(m[1], "http") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}

// The manifest asks for exactly the scopes that its README explains.
func TestManifestScopesAreExplained(t *testing.T) {
	readme := read(t, "manifests/slack/README.md")
	scopes := regexp.MustCompile(`(?m)^ {6}- ([a-z:._]+)$`).FindAllStringSubmatch(read(t, "manifests/slack/manifest.yaml"), -1)
	if len(scopes) != 8 {
		t.Errorf("%d scopes, want 8: %v", len(scopes), scopes)
	}
	for _, s := range scopes {
		if !strings.Contains(readme, "| `"+s[1]+"` |") {
			t.Errorf("%s is not explained", s[1])
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every row of the threat model names tests, and they exist.
func TestSecurityNamesTestsThatExist(t *testing.T) {
	var sources strings.Builder
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			sources.Write(text)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, shown := 0, false
	for line := range strings.Lines(read(t, "docs/security.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case !strings.HasPrefix(line, "|"):
			shown = false
		case last == "shown by":
			shown = true
		case shown && !strings.HasPrefix(last, "---"):
			rows++
			namesTests(t, last, sources.String())
		}
	}
	if rows < 50 {
		t.Errorf("%d rows, want those of both tables", rows)
	}
}

// namesTests checks that a cell names tests, scripts or golden files, and no others.
func namesTests(t *testing.T, cell, sources string) {
	t.Helper()
	names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1)
	if len(names) == 0 {
		t.Errorf("a row names no test: %q", cell)
	}
	for _, m := range names {
		name := m[1]
		switch {
		case strings.HasPrefix(name, "Test"), strings.HasPrefix(name, "Fuzz"):
			if !strings.Contains(sources, "\nfunc "+name+"(") {
				t.Errorf("%s is named, and does not exist", name)
			}
		case strings.HasSuffix(name, ".txt"):
			read(t, "cmd/bot/testdata/"+name)
		default:
			read(t, "internal/slackapp/testdata/golden/"+name+".json")
		}
	}
}
