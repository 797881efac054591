#Requires -Version 7.3
<#
.SYNOPSIS
Checks on a Windows host what wingo claims about layers that change the registry: docs/explanation/windows-fidelity.md, R1 to R8.

.DESCRIPTION
Takes the hives out of an OCI layout that 'wingo optimize apply' wrote, merges them with Windows' own offreg.dll as
containerd's CimFS importer does (OROpenHive, ORMergeHives), and looks whether the merged hive has what the undo file says
was changed. Then it starts the image and asks 'reg query' the same. Prints one line for each claim: ok, FAILED, or unknown;
the exit code is the number of failures. Changes nothing but what docker or nerdctl pull, and a temporary directory.

    wingo build . -o oci:app
    wingo optimize apply oci:app --profile web -o oci:smaller     # writes smaller.undo.json beside it
    wingo push oci:smaller registry.example/app:smaller

.PARAMETER Layout
The directory of the OCI layout, for instance .\smaller.

.PARAMETER Undo
The undo file, for instance .\smaller.undo.json.

.PARAMETER Image
The same image in a registry that this host can pull from; without it, only offreg.dll is asked.

.PARAMETER Former
The image before, in a registry: its registry is asked too, so that a value which was so already proves nothing.

.PARAMETER Tool
docker (WCIFS: the windowsfilter graph driver) or nerdctl (containerd).

.PARAMETER Snapshotter
For nerdctl: windows (WCIFS) or cimfs.

.EXAMPLE
./Check-Registry.ps1 -Layout .\smaller -Undo .\smaller.undo.json -Image registry.example/app:smaller

.EXAMPLE
./Check-Registry.ps1 -Layout .\smaller -Undo .\smaller.undo.json -Image registry.example/app:smaller -Tool nerdctl -Snapshotter cimfs
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Layout,
    [Parameter(Mandatory)] [string] $Undo,
    [string] $Image,
    [string] $Former,
    [ValidateSet('docker', 'nerdctl')] [string] $Tool = 'docker',
    [ValidateSet('', 'windows', 'cimfs')] [string] $Snapshotter = ''
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $false
$script:failures = 0

function Report([string] $Claim, [string] $What, $Holds, [string] $Seen) {
    $word = if ($null -eq $Holds) { 'unknown' } elseif ($Holds) { 'ok     ' } else { $script:failures++; 'FAILED ' }
    Write-Output ('{0} {1,-4} {2}' -f $word, $Claim, $What)
    if ($Holds -ne $true -and $Seen) { $Seen -split "`n" | Select-Object -First 12 | ForEach-Object { Write-Output "             $_" } }
}

# offreg.dll, as hcsshim binds it (internal/winapi/offlinereg.go)
Add-Type -Namespace Wingo -Name OffReg -MemberDefinition @'
[DllImport("offreg.dll", CharSet = CharSet.Unicode)] public static extern int OROpenHive(string path, out IntPtr hive);
[DllImport("offreg.dll")] public static extern int ORMergeHives(IntPtr[] hives, uint count, out IntPtr merged);
[DllImport("offreg.dll", CharSet = CharSet.Unicode)] public static extern int ORSaveHive(IntPtr hive, string path, uint major, uint minor);
[DllImport("offreg.dll", CharSet = CharSet.Unicode)] public static extern int OROpenKey(IntPtr hive, string path, out IntPtr key);
[DllImport("offreg.dll", CharSet = CharSet.Unicode)] public static extern int ORGetValue(IntPtr key, string sub, string name, out uint type, byte[] data, ref uint size);
[DllImport("offreg.dll")] public static extern int ORCloseKey(IntPtr key);
[DllImport("offreg.dll")] public static extern int ORCloseHive(IntPtr hive);
'@

# What was changed, by hive: the delta's name, the file in System32\config, and the root of its paths
$hives = @(
    [pscustomobject]@{ Delta = 'SYSTEM'; File = 'SYSTEM'; Root = 'HKEY_LOCAL_MACHINE\SYSTEM\' }
    [pscustomobject]@{ Delta = 'SOFTWARE'; File = 'SOFTWARE'; Root = 'HKEY_LOCAL_MACHINE\SOFTWARE\' }
    [pscustomobject]@{ Delta = 'SAM'; File = 'SAM'; Root = 'HKEY_LOCAL_MACHINE\SAM\' }
    [pscustomobject]@{ Delta = 'SECURITY'; File = 'SECURITY'; Root = 'HKEY_LOCAL_MACHINE\SECURITY\' }
    [pscustomobject]@{ Delta = 'DEFAULTUSER'; File = 'DEFAULT'; Root = 'HKEY_USERS\.DEFAULT\' }
)

function Blob([string] $Digest) { Join-Path $Layout 'blobs' ($Digest -replace ':', [IO.Path]::DirectorySeparatorChar) }

function Document([string] $Digest) { Get-Content -Raw -LiteralPath (Blob $Digest) | ConvertFrom-Json -AsHashtable }

# The manifest that the undo file is about; the first one, of an index
function Manifest([string] $Digest) {
    $document = Document $Digest
    if ($document.ContainsKey('manifests')) {
        $wanted = $record.images | Where-Object { $_.position -ge 0 } | Select-Object -First 1
        return Document $wanted.result
    }
    $document
}

# One file out of the layers from a number on, the topmost that has it; $null when none has
function Extract($Layers, [string[]] $Names, [string] $To) {
    foreach ($layer in $Layers) {
        foreach ($name in $Names) {
            $folder = Join-Path $scratch ([guid]::NewGuid())
            New-Item -ItemType Directory $folder | Out-Null
            & tar.exe -xf (Blob $layer.digest) -C $folder $name 2>$null
            $file = Join-Path $folder $name
            if (Test-Path -LiteralPath $file) { Move-Item -LiteralPath $file $To; return $To }
        }
    }
    $null
}

function Check([IntPtr] $Hive, $Edit, [string] $Root) {
    $path = $Edit.path.Substring($Root.Length)
    $key = [IntPtr]::Zero
    $found = [Wingo.OffReg]::OROpenKey($Hive, $path, [ref] $key)
    if ($Edit.edit -eq 'delete-key') { return $found -eq 2 }
    if ($found) { return $false }
    try {
        if ($Edit.edit -eq 'create-key') { return $true }
        $size = [uint32] 0; $type = [uint32] 0
        $status = [Wingo.OffReg]::ORGetValue($key, $null, $Edit.name, [ref] $type, $null, [ref] $size)
        if ($Edit.edit -eq 'delete-value') { return $status -eq 2 }
        $data = [byte[]]::new([Math]::Max($size, 1))
        $status = [Wingo.OffReg]::ORGetValue($key, $null, $Edit.name, [ref] $type, $data, [ref] $size)
        $wanted = [Convert]::FromBase64String($Edit.data)
        return $status -eq 0 -and $type -eq $Edit.type -and $size -eq $wanted.Length -and
            [Convert]::ToBase64String($data, 0, $size) -eq $Edit.data
    } finally { [Wingo.OffReg]::ORCloseKey($key) | Out-Null }
}

$record = Get-Content -Raw -LiteralPath $Undo | ConvertFrom-Json -AsHashtable
$changed = $record.images | Where-Object { $_.position -ge 0 } | Select-Object -First 1
if (-not $changed) { Write-Output 'the undo file says that nothing was changed'; exit 1 }
$manifest = Manifest $record.result
$scratch = Join-Path ([IO.Path]::GetTempPath()) "wingo-$PID"
New-Item -ItemType Directory $scratch | Out-Null
Write-Output "host: $((Get-CimInstance Win32_OperatingSystem).Version), image: $($changed.platform)"

try {
    $below = @($manifest.layers[0..($changed.position - 1)])
    $ours = @($manifest.layers[$changed.position])
    foreach ($hive in $hives) {
        $delta = Extract $ours @("Hives/$($hive.Delta)_DELTA") (Join-Path $scratch "$($hive.Delta)_Delta")
        if (-not $delta) { continue }
        $base = Extract @($below[0]) @("Files/Windows/System32/config/$($hive.File)") (Join-Path $scratch "$($hive.Delta)_Base")
        $handles = [Collections.Generic.List[IntPtr]]::new()
        $paths = @($base)
        # what layers of the base lie between: Server Core's update
        for ($number = 1; $number -lt $changed.position; $number++) {
            $between = Extract @($below[$number]) @("Hives/$($hive.Delta)_DELTA", "Hives/$($hive.Delta)_Delta") (Join-Path $scratch "$($hive.Delta)_$number")
            if ($between) { $paths += $between }
        }
        $paths += $delta
        $opened = $true
        foreach ($path in $paths) {
            $handle = [IntPtr]::Zero
            $status = [Wingo.OffReg]::OROpenHive($path, [ref] $handle)
            if ($path -eq $delta) { Report 'R1' "offreg.dll opens our delta of $($hive.File)" ($status -eq 0) "OROpenHive: $status" }
            if ($status) { $opened = $false; break }
            $handles.Add($handle)
        }
        if (-not $opened) { continue }
        $merged = [IntPtr]::Zero
        $status = [Wingo.OffReg]::ORMergeHives($handles.ToArray(), $handles.Count, [ref] $merged)
        Report 'R2' "offreg.dll merges it with the base's $($hive.File)" ($status -eq 0) "ORMergeHives: $status"
        if ($status -eq 0) {
            foreach ($edit in $changed.edits) {
                if (-not $edit.path.StartsWith($hive.Root, 'OrdinalIgnoreCase')) { continue }
                $name = if ($edit.ContainsKey('name')) { $edit.name } else { '' }
                Report 'R3' "merged: $($edit.edit) $($edit.path) $name" (Check $merged $edit $hive.Root)
            }
            $saved = [Wingo.OffReg]::ORSaveHive($merged, (Join-Path $scratch "$($hive.Delta)_Merged"), 10, 0)
            Report 'R4' "the merged $($hive.File) is saved" ($saved -eq 0) "ORSaveHive: $saved"
            [Wingo.OffReg]::ORCloseHive($merged) | Out-Null
        }
        foreach ($handle in $handles) { [Wingo.OffReg]::ORCloseHive($handle) | Out-Null }
    }
} finally { Remove-Item -Recurse -Force $scratch }

if (-not $Image) { exit $script:failures }

# R5 R6: the importers of the host
$flags = if ($Tool -eq 'nerdctl' -and $Snapshotter) { @('--snapshotter', $Snapshotter) } else { @() }
$claim = if ($Snapshotter -eq 'cimfs') { 'R6' } else { 'R5' }
$pulled = & $Tool @flags pull $Image 2>&1 | Out-String
Report $claim "the image is pulled and unpacked ($Tool $Snapshotter)" ($LASTEXITCODE -eq 0) $pulled
if ($LASTEXITCODE -ne 0) { exit $script:failures }

function Ask([string] $Of, [string[]] $Words) {
    $lines = & $Tool @flags run --rm --user ContainerAdministrator --entrypoint 'C:\Windows\System32\cmd.exe' $Of /c @Words 2>&1
    [pscustomobject]@{ Status = $LASTEXITCODE; Text = ($lines | Out-String).Trim() }
}

function Holds($Edit, [string] $Of) {
    $words = @('reg', 'query', $Edit.path)
    if ($Edit.edit -in 'set-value', 'delete-value') { $words += if ($Edit.name) { @('/v', $Edit.name) } else { @('/ve') } }
    $answer = Ask $Of $words
    if ($Edit.edit -like 'delete-*') { return $answer.Status -ne 0 }
    if ($answer.Status -ne 0) { return $false }
    # numbers are shown in hexadecimal: those alone are compared here, the rest was by offreg.dll
    if ($Edit.edit -eq 'set-value' -and $Edit.type -eq 4) {
        $number = [BitConverter]::ToUInt32([Convert]::FromBase64String($Edit.data), 0)
        return $answer.Text -match ('0x{0:x}(\s|$)' -f $number)
    }
    $true
}

foreach ($edit in $changed.edits) {
    $name = if ($edit.ContainsKey('name')) { $edit.name } else { '' }
    $was = if ($Former) { Holds $edit $Former } else { $false }
    $now = Holds $edit $Image
    Report 'R7' "in the container: $($edit.edit) $($edit.path) $name$(if ($was) { ' (it was so before as well)' })" $now
}

# R8: what was disabled does not run
$disabled = $changed.edits | Where-Object { $_.edit -eq 'set-value' -and $_.name -eq 'Start' -and $_.data -eq 'BAAAAA==' }
foreach ($edit in $disabled) {
    $service = Split-Path -Leaf $edit.path
    $answer = Ask $Image @('sc', 'query', $service)
    $holds = if ($answer.Text -match 'is not recognized') { $null } else { $answer.Text -notmatch 'RUNNING' }
    Report 'R8' "the service $service does not run" $holds $answer.Text
}
exit $script:failures
