package sandbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// Browser returns a client that behaves as somebody's browser: it keeps
// cookies, trusts the stand-ins, and follows no redirect, so that each can be
// looked at. Give each person a browser of their own.
func (s *Sandbox) Browser() *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.caPEM)
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // cannot happen, by its contract
	}
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, DialContext: s.dial, DisableKeepAlives: true,
		},
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

var (
	hiddenRequest = regexp.MustCompile(`name="request" value="([^"]*)"`)
	formAction    = regexp.MustCompile(`action="([^"]*)"`)
	problem       = regexp.MustCompile(`AADSTS\d+: [^<]*`)
)

// SignIn opens authorizeURL in client, signs in as person, and returns where
// Entra sends the browser: to the app, with a code or an error. "" presses
// Cancel. Oscar signs in to his account in Fabrikam's tenant, and alice2 to
// alice's account. SignIn returns an error if Entra sends the browser nowhere,
// with what its page says.
func (s *Sandbox) SignIn(ctx context.Context, client *http.Client, authorizeURL, person string) (redirect *url.URL, err error) {
	choice := url.Values{"cancel": {"1"}}
	if person != "" {
		account, err := s.accountOf(person)
		if err != nil {
			return nil, err
		}
		choice = url.Values{"account": {account}}
	}
	page, redirect, err := open(ctx, client, http.MethodGet, authorizeURL, "")
	if err != nil || redirect != nil {
		return redirect, err
	}
	request, action := hiddenRequest.FindStringSubmatch(page), formAction.FindStringSubmatch(page)
	if request == nil || action == nil {
		return nil, fmt.Errorf("sign-in: %s", readProblem(page))
	}
	target, err := url.Parse(authorizeURL)
	if err == nil {
		target, err = target.Parse(html.UnescapeString(action[1]))
	}
	if err != nil {
		return nil, err
	}
	choice.Set("request", html.UnescapeString(request[1]))
	page, redirect, err = open(ctx, client, http.MethodPost, target.String(), choice.Encode())
	if err == nil && redirect == nil {
		err = fmt.Errorf("sign-in: %s", readProblem(page))
	}
	return redirect, err
}

func (s *Sandbox) accountOf(name string) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.world.person(name)
	if err != nil {
		return "", err
	}
	a := p.signsInTo()
	if a == nil {
		return "", fmt.Errorf("%s has no account to sign in to", name)
	}
	return a.id, nil
}

// open returns the page, or where it sends the browser.
func open(ctx context.Context, client *http.Client, method, address, form string) (page string, redirect *url.URL, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form))
	if err != nil {
		return "", nil, err
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.Header.Set("Origin", request.URL.Scheme+"://"+request.URL.Host)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode == http.StatusFound {
		redirect, err = response.Location()
		return "", redirect, err
	}
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxRequestBody))
	return string(raw), nil, err
}

func readProblem(page string) string {
	if found := problem.FindString(page); found != "" {
		return html.UnescapeString(found)
	}
	return "Entra answered with no page to sign in on"
}
