package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// readPage reads which part of a list is asked for.
func readPage(query url.Values) (top, skip int, err error) {
	top = 100
	if raw, ok := query["$top"]; ok {
		if top, err = strconv.Atoi(raw[0]); err != nil || top < 1 || top > 999 {
			return 0, 0, &graphError{http.StatusBadRequest, "Request_UnsupportedQuery", fmt.Sprintf("Invalid page size specified: '%s'. Must be between 1 and 999 inclusive.", raw[0])}
		}
	}
	if raw, ok := query["$skiptoken"]; ok {
		if skip, err = strconv.Atoi(raw[0]); err != nil || skip < 0 {
			return 0, 0, &graphError{http.StatusBadRequest, "Directory_ExpiredPageToken", "The specified page token value has expired and can no longer be included in your request."}
		}
	}
	return top, skip, nil
}

// list is the answer with one page of rows, and with where the next one is.
func (s *Sandbox) list(call graphCall, context string, rows []any) (map[string]any, error) {
	top, skip, err := readPage(call.query)
	if err != nil {
		return nil, err
	}
	if s.world.pageSize > 0 {
		top = min(top, s.world.pageSize)
	}
	start, end := min(skip, len(rows)), min(skip+top, len(rows))
	answer := map[string]any{"@odata.context": graphContext + context, "value": append([]any{}, rows[start:end]...)}
	if end < len(rows) {
		call.query.Set("$skiptoken", strconv.Itoa(end))
		answer["@odata.nextLink"] = s.graphURL + call.r.URL.EscapedPath() + "?" + call.query.Encode()
	}
	return answer, nil
}

// rowsOf keeps the rows that $filter asks for, with the properties that $select
// asks for.
func rowsOf(call graphCall, rows []map[string]any, resource filterable) ([]any, string, error) {
	keep := func(map[string]any) bool { return true }
	if filter, ok := call.query["$filter"]; ok {
		var err error
		if keep, err = parseFilter(filter[0], resource); err != nil {
			return nil, "", err
		}
	}
	var names []string
	if raw := call.query.Get("$select"); raw != "" {
		names = strings.Split(raw, ",")
	}
	out, suffix := []any{}, ""
	for _, row := range rows {
		if !keep(row) {
			continue
		}
		shown := row
		if names != nil {
			shown = map[string]any{}
			for _, name := range names {
				value, ok := row[name]
				if !ok {
					return nil, "", badRequest("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", name, resource.name)
				}
				shown[name] = value
			}
		}
		out = append(out, shown)
	}
	if names != nil {
		suffix = "(" + strings.Join(names, ",") + ")"
	}
	return out, suffix, nil
}
