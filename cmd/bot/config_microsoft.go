package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/revoke-session/revoke-session/internal/entra"
)

// credentialKind is how the bot proves to Entra who it is: the setting it takes.
type credentialKind string

const (
	secretCredential      credentialKind = "AZURE_CLIENT_SECRET"
	certificateCredential credentialKind = "AZURE_CLIENT_CERTIFICATE_PATH"
	federatedCredential   credentialKind = "AZURE_FEDERATED_TOKEN_FILE"
	managedCredential     credentialKind = "AZURE_USE_MANAGED_IDENTITY"
)

// clouds are where Microsoft's services are, by AZURE_CLOUD.
// learn.microsoft.com/graph/deployments
var clouds = map[string]struct{ authority, graph, sharePoint string }{
	"public":    {entra.PublicAuthority, "https://graph.microsoft.com", "sharepoint.com"},
	"usgov":     {"https://login.microsoftonline.us", "https://graph.microsoft.us", "sharepoint.us"},
	"usgov-dod": {"https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "sharepoint-mil.us"},
	"china":     {"https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn", "sharepoint.cn"},
}

var (
	tenant = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
	// initialDomain is the domain that a tenant was created with, whose name
	// SharePoint's hosts have as well.
	initialDomain = regexp.MustCompile(`(?i)^([a-z0-9-]+)\.(?:onmicrosoft\.(?:com|us)|partner\.onmschina\.cn)$`)
)

// microsoft checks what has to do with Entra, Graph and SharePoint.
func (s *settings) microsoft(c *config, k *check) {
	c.tenant = k.need("AZURE_TENANT_ID", s.AzureTenantID, "the tenant id of your Entra tenant")
	if c.tenant != "" && (!tenant.MatchString(c.tenant) || c.tenant == "common" || c.tenant == "organizations" || c.tenant == "consumers") {
		k.wrong("AZURE_TENANT_ID", "must name one tenant: its id or one of its domains")
	}
	s.credential(c, k)
	cloud := clouds[k.oneOf("AZURE_CLOUD", s.AzureCloud, "public", "usgov", "usgov-dod", "china")]
	c.authority = k.address("AZURE_AUTHORITY_HOST", cmp.Or(s.AzureAuthorityHost, cloud.authority))
	c.graph = k.address("GRAPH_URL", cmp.Or(s.GraphURL, cloud.graph))
	if s.SharePointAdminURL != "" {
		c.sharePoint = k.origin("SHAREPOINT_ADMIN_URL", s.SharePointAdminURL)
	}
	c.revoker = k.oneOf("REVOKER", s.Revoker, "graph", "sharepoint", "both")
	if c.revoker == "graph" {
		return
	}
	if c.credential == secretCredential {
		k.wrong("REVOKER", "is %s: SharePoint accepts no token obtained with a client secret (it answers 'Unsupported app only token'): "+
			"use a certificate, federation or a managed identity", c.revoker)
	}
	if m := initialDomain.FindStringSubmatch(c.tenant); c.sharePoint == "" && m != nil {
		c.sharePoint = "https://" + strings.ToLower(m[1]) + "-admin." + cloud.sharePoint
	}
	if c.sharePoint == "" {
		k.wrong("SHAREPOINT_ADMIN_URL", "is not set: the address of SharePoint's admin site, such as https://contoso-admin.sharepoint.com "+
			"(needed for REVOKER=%s, unless AZURE_TENANT_ID is a name such as contoso.onmicrosoft.com)", c.revoker)
	}
}

// credential finds the one way to sign in that is set.
func (s *settings) credential(c *config, k *check) {
	c.clientID = strings.TrimSpace(s.AzureClientID)
	c.clientSecret = strings.TrimSpace(s.AzureClientSecret)
	c.certificate, c.certificatePassword = strings.TrimSpace(s.AzureClientCertificatePath), s.AzureClientCertificatePassword
	c.tokenFile = strings.TrimSpace(s.AzureFederatedTokenFile)
	managed, isClear := parseBoolean(s.AzureUseManagedIdentity)
	if !isClear {
		k.wrong(string(managedCredential), "must be true or false")
	}
	if c.certificate != "" {
		k.file(string(certificateCredential), c.certificate)
	}
	if c.tokenFile != "" {
		k.file(string(federatedCredential), c.tokenFile)
	}
	if isClear && !managed { // which has no need of it
		k.need("AZURE_CLIENT_ID", c.clientID, "the application (client) id of the app registration")
	}
	set := c.credentials(managed)
	switch {
	case c.certificatePassword != "" && c.certificate == "":
		k.wrong("AZURE_CLIENT_CERTIFICATE_PASSWORD", "is set without %s, the file it opens: set that too, or neither", certificateCredential)
	case len(set) == 0 && isClear:
		k.wrong(string(secretCredential), "is not set: a client secret of the app registration, or else one of %s (a certificate), %s (workload identity) and %s=true",
			certificateCredential, federatedCredential, managedCredential)
	}
	if len(set) == 1 {
		c.credential = credentialKind(set[0])
	} else if last := len(set) - 1; last > 0 {
		k.wrong(strings.Join(set[:last], ", ")+" and "+set[last], "are set: keep the one that the bot is to sign in with")
	}
}

// credentials are the ways to sign in that are set.
func (c *config) credentials(managed bool) []string {
	var set []string
	add := func(kind credentialKind, isSet bool) {
		if isSet {
			set = append(set, string(kind))
		}
	}
	add(secretCredential, c.clientSecret != "")
	add(certificateCredential, c.certificate != "")
	add(federatedCredential, c.tokenFile != "")
	add(managedCredential, managed)
	return set
}

// newCredential makes the credential that the settings chose. What is wrong with
// it is a settingsError as well.
func newCredential(c config, transport http.RoundTripper, log *slog.Logger) (*entra.Credential, error) {
	var credential *entra.Credential
	var err error
	switch c.credential {
	case secretCredential:
		credential, err = entra.NewSecretCredential(c.authority, c.tenant, c.clientID, c.clientSecret, transport)
	case certificateCredential:
		credential, err = entra.NewCertificateCredential(c.authority, c.tenant, c.clientID, c.certificate, c.certificatePassword, transport, log)
	case federatedCredential:
		credential, err = entra.NewFederatedCredential(c.authority, c.tenant, c.clientID, c.tokenFile, transport)
	case managedCredential:
		credential, err = entra.NewManagedIdentityCredential(c.clientID, transport)
	}
	if err != nil {
		return nil, &settingsError{[]string{fmt.Sprintf("%s cannot be used: %v", c.credential, err)}}
	}
	return credential, nil
}
