#Requires -Version 7.0
#Requires -Modules Microsoft.Graph.Authentication, Microsoft.Graph.Applications

<#
.SYNOPSIS
Registers the bot in Microsoft Entra ID with Microsoft Graph PowerShell.

.DESCRIPTION
Makes an app registration, its service principal, the application permissions of
required-resource-access.json with consent (with -Optional also those of
optional-resource-access.json), and one client secret. Explanations go
to the information stream; the output is three lines for .env, the secret among
them, shown this once.

Run as Privileged Role Administrator or Global Administrator. If an app of that
name is already there, nothing is changed.

.EXAMPLE
Install-Module Microsoft.Graph.Authentication, Microsoft.Graph.Applications -Scope CurrentUser
./grant.ps1 -TenantId contoso.com
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)]
    [string] $TenantId,

    [string] $AppName = 'Revoke Session',

    [ValidateRange(1, 24)]
    [int] $SecretMonths = 6,

    # Also the permissions that README.md calls optional.
    [switch] $Optional
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$InformationPreference = 'Continue'

# A new object takes a moment to be known everywhere in the directory.
function Invoke-WithRetry([scriptblock] $Call) {
    for ($n = 1; ; $n++) {
        try { return & $Call }
        catch {
            if ($n -ge 6) { throw }
            Write-Information "   not there yet, trying again ($n of 6) ..."
            Start-Sleep -Seconds ($n * 5)
        }
    }
}

$files = @('required-resource-access.json')
if ($Optional) { $files += 'optional-resource-access.json' }
# One entry per API, as the app registration wants it, whichever file a permission is in.
$permissions = @(
    $files | ForEach-Object { Get-Content -Raw (Join-Path $PSScriptRoot $_) | ConvertFrom-Json } | ForEach-Object { $_ } |
        Group-Object resourceAppId | ForEach-Object {
            [pscustomobject]@{ resourceAppId = $_.Name; resourceAccess = @($_.Group.resourceAccess) }
        }
)

Connect-MgGraph -TenantId $TenantId -NoWelcome -Scopes @(
    'Application.ReadWrite.All'
    'AppRoleAssignment.ReadWrite.All'
)
$tenant = (Get-MgContext).TenantId
Write-Information "Tenant $tenant, app `"$AppName`"."

$quoted = $AppName.Replace("'", "''")
$existing = @(Get-MgApplication -Filter "displayName eq '$quoted'")
if ($existing.Count -gt 0) {
    throw "An app of this name exists already (client id $($existing.AppId -join ', ')). Nothing was changed. " +
        'Choose another -AppName, or add a secret to it with Add-MgApplicationPassword.'
}

Write-Information '1. App registration with its permissions, this tenant only, no redirect address.'
$wanted = @(
    foreach ($api in $permissions) {
        @{
            ResourceAppId  = $api.resourceAppId
            ResourceAccess = @(foreach ($access in $api.resourceAccess) { @{ Id = $access.id; Type = $access.type } })
        }
    }
)
$app = New-MgApplication -DisplayName $AppName -SignInAudience AzureADMyOrg -RequiredResourceAccess $wanted

Write-Information "2. Service principal: the app's account in this tenant."
$principal = Invoke-WithRetry { New-MgServicePrincipal -AppId $app.AppId }

Write-Information '3. Consent: one app role assignment per permission.'
foreach ($api in $permissions) {
    $resource = Get-MgServicePrincipal -Filter "appId eq '$($api.resourceAppId)'"
    foreach ($access in $api.resourceAccess) {
        $role = $resource.AppRoles | Where-Object Id -EQ $access.id
        if (-not $role) { throw "$($resource.DisplayName) has no app role $($access.id)." }
        Invoke-WithRetry {
            New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $principal.Id `
                -PrincipalId $principal.Id -ResourceId $resource.Id -AppRoleId $access.id
        } | Out-Null
        Write-Information "   $($resource.DisplayName): $($role.Value)"
    }
}

$expires = (Get-Date).ToUniversalTime().AddMonths($SecretMonths)
Write-Information "4. Client secret, until $($expires.ToString('u'))."
$secret = Add-MgApplicationPassword -ApplicationId $app.Id -PasswordCredential @{
    DisplayName = 'revoke-session bot'
    EndDateTime = $expires
}

Write-Information 'Done. The secret is shown this once; Microsoft Entra ID does not show it again.'
"AZURE_TENANT_ID=$tenant"
"AZURE_CLIENT_ID=$($app.AppId)"
"AZURE_CLIENT_SECRET=$($secret.SecretText)"
