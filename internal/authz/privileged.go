package authz

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/revoke-session/revoke-session/internal/entra"
)

type directoryRole struct{ name, template string }

// privileged are the roles that Microsoft labels privileged, in the order in which
// they are shown (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference,
// of 2026-01-20). The last three are labeled in later versions of the page, by the
// lists that Maester generates from it.
var privileged = []directoryRole{
	{"Global Administrator", globalAdministrator},
	{"Privileged Role Administrator", "e8611ab8-c189-46e8-94e1-60213ab1f814"},
	{"Privileged Authentication Administrator", "7be44c8a-adaf-4e2a-84d6-ab2649e08a13"},
	{"Partner Tier2 Support", "e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8"},
	{"Agent ID Administrator", "db506228-d27e-4b7d-95e5-295956d6615f"},
	{"Application Administrator", "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"},
	{"Application Developer", "cf1c38e5-3621-4004-a7cb-879624dced7c"},
	{"Attribute Provisioning Administrator", "ecb2c6bf-0ab6-418e-bd87-7986f8d63bbe"},
	{"Attribute Provisioning Reader", "422218e4-db15-4ef9-bbe0-8afb41546d79"},
	{"Authentication Administrator", "c4e39bd9-1100-46d3-8c65-fb160da0071f"},
	{"Authentication Extensibility Administrator", "25a516ed-2fa0-40ea-a2d0-12923a21473a"},
	{"B2C IEF Keyset Administrator", "aaf43236-0c0d-4d5f-883a-6955382ac081"},
	{"Cloud Application Administrator", "158c047a-c907-4556-b7ef-446551a6b5f7"},
	{"Cloud Device Administrator", "7698a772-787b-4ac8-901f-60d6b08affd2"},
	{"Conditional Access Administrator", "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9"},
	{"Directory Writers", "9360feb5-f418-4baa-8175-e2a00bac4301"},
	{"Domain Name Administrator", "8329153b-31d0-4727-b945-745eb3bc5f31"},
	{"External Identity Provider Administrator", "be2f45a1-457d-42af-a067-6ec1fa63bc45"},
	{"Global Reader", "f2ef992c-3afb-46b9-b7cf-a126ee74c451"},
	{"Helpdesk Administrator", "729827e3-9c14-49f7-bb1b-9608f156bbb8"},
	{"Hybrid Identity Administrator", "8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2"},
	{"Intune Administrator", "3a2c62db-5318-420d-8d74-23affee5d9d5"},
	{"Lifecycle Workflows Administrator", "59d46f88-662b-457b-bceb-5c3809e5908f"},
	{"Partner Tier1 Support", "4ba39ca4-527c-499a-b93d-d9b492c50246"},
	{"Password Administrator", "966707d0-3269-4727-9be2-8c3a10f19b9d"},
	{"Security Administrator", "194ae4cb-b126-40b2-bd5b-6091b380977d"},
	{"Security Operator", "5f2222b1-57c3-48ba-8ad5-d4759f1fde6f"},
	{"Security Reader", "5d6b6bb7-de71-4623-b4af-96380a352509"},
	{"User Administrator", "fe930be7-5e62-47db-91af-98c3a49a38b1"},
	{"AI Administrator", "d2562ede-74db-457e-a7b6-544e236ebb61"},
	{"AI Reader", "1fe13547-53f6-408d-ac04-7f8eed167b38"},
	{"Authentication Extensibility Password Administrator", "0b00bede-4072-4d22-b441-e7df02a1ef63"},
}

// rolesAmong names the privileged roles among in.
func rolesAmong(in map[string]bool) string {
	var names []string
	for _, r := range privileged {
		if in[r.template] {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, ", ")
}

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// watched are the privileged roles, and the operator's entries that can be groups:
// a user's object id looks the same.
func watched(protected []string) []string {
	var ids []string
	for _, r := range privileged {
		ids = append(ids, r.template)
	}
	for _, entry := range protected {
		if id := strings.ToLower(entry); guid.MatchString(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// idsPerCall is how many ids checkMemberObjects takes.
const idsPerCall = 20

// memberships returns which of the watched roles and groups a user is in, asking
// in as many calls as it takes side by side.
func (d *Directory) memberships(ctx context.Context, key string) (map[string]bool, error) {
	chunks := slices.Collect(slices.Chunk(d.watched, idsPerCall))
	return d.gather(len(chunks), func(i int) (map[string]bool, error) {
		in, _, err := d.memberOf(ctx, "check roles and groups", key, chunks[i]...)
		return in, err
	})
}

// refusesID reports whether Graph took offense at an id that was asked about. The
// documentation does not say what it answers about a role that was never used in
// the tenant, a group that was deleted, or the id of a user.
func refusesID(err error) bool {
	e, ok := errors.AsType[*entra.Error](err)
	return ok && (e.NotFound() || e.System == entra.SystemGraph && e.Status == http.StatusBadRequest)
}

// oneByOne is memberships with each id asked about alone. An id that is refused
// even so is none that anybody could be a member of; that of Global Administrator
// is known in every tenant.
func (d *Directory) oneByOne(ctx context.Context, id string) (map[string]bool, error) {
	return d.gather(len(d.watched), func(i int) (map[string]bool, error) {
		in, _, err := d.memberOf(ctx, "check one role or group", id, d.watched[i])
		if refusesID(err) && d.watched[i] != globalAdministrator {
			return nil, nil
		}
		return in, err
	})
}

// gather makes n calls, a few at a time, and joins what they return.
func (d *Directory) gather(n int, call func(i int) (map[string]bool, error)) (map[string]bool, error) {
	all := map[string]bool{}
	var errs []error
	var mu sync.Mutex
	var wg sync.WaitGroup
	turn := make(chan struct{}, atOnce)
	for i := range n {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			some, err := call(i)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			maps.Copy(all, some)
		})
	}
	wg.Wait()
	return all, errors.Join(errs...)
}

// atOnce is how many questions are asked side by side: eight calls at most.
const atOnce = 4
