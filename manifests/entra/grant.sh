#!/usr/bin/env bash
# Registers the bot in Microsoft Entra ID with the Azure CLI: an app registration, its
# service principal, the application permissions of required-resource-access.json with
# admin consent, and one client secret.
#
#   az login --tenant contoso.com --allow-no-subscriptions
#   ./grant.sh                          # prints AZURE_... lines for .env
#   (umask 077; ./grant.sh >> .env)     # or puts them there; explanations go to stderr
#
# Run as Privileged Role Administrator or Global Administrator: consent to application
# permissions of Microsoft Graph needs one of the two.
#
#   APP_NAME=...      display name (default: Revoke Session)
#   SECRET_MONTHS=... how long the secret lasts (default: 6)
#   OPTIONAL=true     the permissions of optional-resource-access.json as well
#
# Running it again with an app of that name already there changes no credential: it
# stops and says how to make a new secret.
set -euo pipefail

app_name=${APP_NAME:-Revoke Session}
secret_months=${SECRET_MONTHS:-6}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
permissions=("$here/required-resource-access.json")
case ${OPTIONAL:-false} in
    true) permissions+=("$here/optional-resource-access.json") ;;
    false) ;;
    *)
        printf 'grant.sh: OPTIONAL must be true or false\n' >&2
        exit 1
        ;;
esac

say() { printf '%s\n' "$*" >&2; }
die() { say "grant.sh: $*"; exit 1; }

# End of the secret's life, with GNU date or with BSD date (macOS).
in_months() {
    date -u -d "+$1 months" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -v "+$1m" +%Y-%m-%dT%H:%M:%SZ
}

# A new object takes a moment to be known everywhere in the directory.
retry() {
    local n
    for n in 1 2 3 4 5 6; do
        if "$@"; then return 0; fi
        say "  not there yet, trying again ($n of 6) ..."
        sleep $((n * 5))
    done
    return 1
}

command -v az >/dev/null || die "needs the Azure CLI: https://learn.microsoft.com/cli/azure/install-azure-cli"
for file in "${permissions[@]}"; do
    [ -r "$file" ] || die "cannot read $file"
done
tenant=$(az account show --query tenantId --output tsv 2>/dev/null) ||
    die "not signed in: az login --tenant <your tenant> --allow-no-subscriptions"
expires=$(in_months "$secret_months") || die "SECRET_MONTHS=$secret_months is not a number of months"
say "Tenant $tenant, app \"$app_name\"."

existing=$(az ad app list --display-name "$app_name" --query "[?displayName=='$app_name'].appId" --output tsv)
if [ -n "$existing" ]; then
    die "an app of this name exists already (client id ${existing//$'\n'/, }). Nothing was changed.
  A new secret for it: az ad app credential reset --id <client id> --append --end-date $expires
  Another app:         APP_NAME='...' ./grant.sh"
fi

say "1. App registration, this tenant only, no redirect address."
client=$(az ad app create --display-name "$app_name" --sign-in-audience AzureADMyOrg --query appId --output tsv)

say "2. Service principal: the app's account in this tenant."
retry az ad sp create --id "$client" --output none

say "3. Permissions, from ${permissions[*]##*/} (a role is an application permission)."
# Prints one line per permission: <resource app id> <role id>=Role
list_permissions() {
    if command -v jq >/dev/null; then
        jq -r '.[] | .resourceAppId as $api | .resourceAccess[] | "\($api) \(.id)=\(.type)"' "${permissions[@]}"
    else
        python3 -c 'import json, sys
for name in sys.argv[1:]:
    for api in json.load(open(name)):
        for access in api["resourceAccess"]:
            print(api["resourceAppId"], access["id"] + "=" + access["type"])' "${permissions[@]}"
    fi
}
lines=$(list_permissions) || die "needs jq or python3 to read ${permissions[*]##*/}"
while read -r api permission; do
    az ad app permission add --id "$client" --api "$api" --api-permissions "$permission" --output none
    say "   $permission"
done <<<"$lines"

say "4. Admin consent."
retry az ad app permission admin-consent --id "$client"

say "5. Client secret, until $expires."
secret=$(az ad app credential reset --id "$client" --append --display-name "revoke-session bot" \
    --end-date "$expires" --query password --output tsv --only-show-errors)

say ""
say "Done. The secret is shown this once; Microsoft Entra ID does not show it again."
say "Check the grant: Entra admin center, Enterprise applications, $app_name, Permissions."
say ""
printf 'AZURE_TENANT_ID=%s\nAZURE_CLIENT_ID=%s\nAZURE_CLIENT_SECRET=%s\n' "$tenant" "$client" "$secret"
