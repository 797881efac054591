#Requires -Version 7.3
<#
.SYNOPSIS
Checks on a Windows host what wingo claims about an image: docs/explanation/windows-fidelity.md, by number.

.DESCRIPTION
Pulls the image, starts it, and looks at it from inside with icacls, attrib, fsutil and dir. Changes nothing but what
docker or nerdctl pull. Prints one line for each claim: ok, FAILED, or unknown; the exit code is the number of failures.

The image must have been built by wingo, with a data directory:

    wingo build . --data-dir C:\data --push -t registry.example/app:check

nanoserver has cmd, icacls, attrib and whoami; fsutil is in servercore. What a base lacks is "unknown", not a failure.

.PARAMETER Image
A reference that this host can pull.

.PARAMETER Program
The program's path in the image; by default it is taken from the image's entrypoint.

.PARAMETER Base
The bare base, to compare the access lists of its directories; for instance mcr.microsoft.com/windows/nanoserver:ltsc2022.

.PARAMETER DataDir
The directory that was given to --data-dir.

.PARAMETER Links
Paths of symbolic links or junctions in the image, if there are any.

.PARAMETER Removed
Paths that the image removes from its base, if there are any.

.PARAMETER Epoch
SOURCE_DATE_EPOCH of the build.

.PARAMETER Tool
docker or nerdctl.

.EXAMPLE
./Check-Image.ps1 -Image registry.example/app:check -Base mcr.microsoft.com/windows/nanoserver:ltsc2022
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Image,
    [string] $Program,
    [string] $Base,
    [string] $DataDir = 'C:\data',
    [string[]] $Links = @(),
    [string[]] $Removed = @(),
    [long] $Epoch = 0,
    [ValidateSet('docker', 'nerdctl')] [string] $Tool = 'docker'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
if (Get-Variable PSNativeCommandUseErrorActionPreference -ErrorAction SilentlyContinue) {
    $PSNativeCommandUseErrorActionPreference = $false
}
$script:failures = 0

function Report([string] $Claim, [string] $What, $Holds, [string] $Seen) {
    $word = if ($null -eq $Holds) { 'unknown' } elseif ($Holds) { 'ok     ' } else { $script:failures++; 'FAILED ' }
    Write-Output ('{0} {1,-4} {2}' -f $word, $Claim, $What)
    if ($Holds -ne $true -and $Seen) { $Seen -split "`n" | Select-Object -First 12 | ForEach-Object { Write-Output "             $_" } }
}

# Runs a command in the image by its own cmd.exe, as a user; gives its output and whether it was there to be run.
# It is given as words, each an argument: cmd.exe does not read the backslashes that would protect inner quotes.
function Inside([string[]] $Words, [string] $User = 'ContainerUser', [string] $Of = $Image) {
    $lines = & $Tool run --rm --user $User --entrypoint 'C:\Windows\System32\cmd.exe' $Of /c @Words 2>&1
    [pscustomobject]@{
        Status  = $LASTEXITCODE
        Text    = ($lines | Out-String).Trim()
        Missing = ($lines | Out-String) -match 'is not recognized'
    }
}

Write-Output "host: $((Get-CimInstance Win32_OperatingSystem).Version), $(& $Tool version --format '{{.Server.Version}}' 2>$null)"

# L1 L2 L15 C12: it is imported
$pulled = & $Tool pull $Image 2>&1 | Out-String
Report 'L1' 'the image is pulled and unpacked (L2, L15, C12 too)' ($LASTEXITCODE -eq 0) $pulled
if ($LASTEXITCODE -ne 0) { exit 1 }

$config = (& $Tool image inspect $Image | ConvertFrom-Json)[0]
if (-not $Program) { $Program = $config.Config.Entrypoint[0] }
$folder = Split-Path -Parent $Program

# C1 C7: the right child of the index
Report 'C1' 'os.version has four parts' ([string]$config.OsVersion -match '^\d+\.\d+\.\d+\.\d+$') ([string]$config.OsVersion)

# C2 C3 P1: the program starts. One that serves runs until it is stopped, which settles C10 too.
$id = (& $Tool run --detach $Image).Trim()
Start-Sleep -Seconds 5
$state = (& $Tool inspect $id | ConvertFrom-Json)[0].State
$started = $state.Running -or $state.ExitCode -eq 0
Report 'C2' "$Program starts (P1 too)" $started ("exit code $($state.ExitCode)`n" + (& $Tool logs $id 2>&1 | Out-String))
if ($state.Running) {
    $before = Get-Date
    & $Tool stop --time 20 $id | Out-Null
    $seconds = ((Get-Date) - $before).TotalSeconds
    Report 'C10' 'it ends when it is told to, before it is killed' ($seconds -lt 19) "$seconds seconds; its log should tell of SIGTERM"
}
& $Tool rm --force $id 2>&1 | Out-Null

# C4 C5: Windows' own programs are found
$path = Inside 'path'
Report 'C4' 'PATH has System32' ($path.Text -match '(?i)windows\\system32') $path.Text

# L5 L6: attributes and descriptor
$attributes = Inside 'attrib', $Program
Report 'L5' 'the program is a plain file' $(if ($attributes.Missing) { $null } else { $attributes.Text -match '^A' }) $attributes.Text
$list = Inside 'icacls', $Program 'ContainerAdministrator'
$holds = if ($list.Missing) { $null } else {
    $list.Text -match 'BUILTIN\\Administrators:(\(I\))?\(F\)' -and $list.Text -match 'BUILTIN\\Users:(\(I\))?\(RX\)'
}
Report 'L6' 'administrators change it, users read and run it' $holds $list.Text

# L4: the directories of the base are as in the base
foreach ($directory in 'C:\', 'C:\Program Files', 'C:\Windows') {
    $ours = Inside 'icacls', $directory 'ContainerAdministrator'
    $theirs = if ($Base) { Inside 'icacls', $directory 'ContainerAdministrator' $Base } else { $null }
    $same = if ($null -eq $theirs -or $ours.Missing) { $null } else { $ours.Text -eq $theirs.Text }
    Report 'L4' "$directory is as in the base" $same ("$($ours.Text)`nin the base $Base`:`n" + $(if ($theirs) { $theirs.Text } else { 'not given' }))
}

# L7 L8: who ContainerUser is, and that it cannot change the program
$who = Inside 'whoami', '/user', '&', 'whoami', '/groups'
Report 'L8' 'ContainerUser is S-1-5-93-2-2, a member of Users' `
    $(if ($who.Missing) { $null } else { $who.Text -match 'S-1-5-93-2-2' -and $who.Text -match 'S-1-5-32-545' }) $who.Text
$write = Inside 'copy', 'nul', "$folder\planted.dll"
Report 'L7' "ContainerUser cannot create a file in $folder" ($write.Status -ne 0) $write.Text
$change = Inside 'echo', "x>>$Program"
Report 'L7' 'ContainerUser cannot change the program' ($change.Status -ne 0) $change.Text

# L9: the data directory
$data = Inside 'echo', "x>$DataDir\probe", '&&', 'type', "$DataDir\probe", '&&', 'del', "$DataDir\probe"
Report 'L9' "ContainerUser can create, read and delete in $DataDir" ($data.Status -eq 0) $data.Text

# L10: times. dir has no zone: a day either way is right.
$day = [DateTimeOffset]::FromUnixTimeSeconds($Epoch).UtcDateTime
$years = @($day.AddDays(-1).Year, $day.Year, $day.AddDays(1).Year)
foreach ($field in 'C', 'W', 'A') {
    $time = Inside 'dir', '/-c', "/t:$field", $Program
    Report 'L10' "its time ($field) is the build's" (@($years | Where-Object { $time.Text -match "\b$_\b" }).Count -gt 0) $time.Text
}

# L11 L12 L13 L14
foreach ($link in $Links) {
    $point = Inside 'fsutil', 'reparsepoint', 'query', $link 'ContainerAdministrator'
    Report 'L11' "$link is a link (L12 too): read its target" $(if ($point.Missing) { $null } else { $point.Status -eq 0 }) $point.Text
    if (-not $point.Missing) { Write-Output $point.Text }
}
$names = Inside 'fsutil', 'hardlink', 'list', $Program 'ContainerAdministrator'
Report 'L13' 'the names of the program' $(if ($names.Missing) { $null } else { $names.Status -eq 0 }) $names.Text
foreach ($path in $Removed) {
    $gone = Inside 'if', 'exist', $path, '(exit', '1)', 'else', '(exit', '0)'
    Report 'L14' "$path is gone" ($gone.Status -eq 0) $gone.Text
}

Write-Output ''
Write-Output "$script:failures failed"
exit $script:failures
