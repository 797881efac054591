"""Which functions of Go's own syscall packages call into which Windows library.

Written by `scripts/generate_wrappers.py` from Go's and golang.org/x/sys' `zsyscall_windows.go`; do not edit.
"""

from __future__ import annotations

_TABLE: dict[str, dict[str, str]] = {
    "advapi32.dll": {
        "golang.org/x/sys/windows": (
            "AdjustTokenGroups AdjustTokenPrivileges AllocateAndInitializeSid ChangeServiceConfig "
            "ChangeServiceConfig2 CloseServiceHandle ControlService ConvertSidToStringSid ConvertStringSidToSid "
            "CopySid CreateProcessAsUser CreateService CryptAcquireContext CryptGenRandom CryptReleaseContext "
            "DeleteService DeregisterEventSource DuplicateTokenEx EnumDependentServices EnumServicesStatusEx "
            "EqualSid FreeSid GetAce GetLengthSid GetTokenInformation ImpersonateSelf InitiateSystemShutdownEx "
            "LookupAccountName LookupAccountSid LookupPrivilegeValue NotifyServiceStatusChange OpenProcessToken "
            "OpenSCManager OpenService OpenThreadToken QueryServiceConfig QueryServiceConfig2 "
            "QueryServiceDynamicInformation QueryServiceLockStatus QueryServiceStatus QueryServiceStatusEx "
            "RegCloseKey RegEnumKeyEx RegNotifyChangeKeyValue RegOpenKeyEx RegQueryInfoKey RegQueryValueEx "
            "RegisterEventSource RegisterServiceCtrlHandlerEx ReportEvent RevertToSelf SetKernelObjectSecurity "
            "SetSecurityInfo SetServiceStatus SetThreadToken SetTokenInformation StartService "
            "StartServiceCtrlDispatcher _SetNamedSecurityInfo "
            "_convertStringSecurityDescriptorToSecurityDescriptor _getNamedSecurityInfo buildSecurityDescriptor "
            "checkTokenMembership convertSecurityDescriptorToStringSecurityDescriptor createWellKnownSid "
            "getSecurityDescriptorControl getSecurityDescriptorDacl getSecurityDescriptorGroup "
            "getSecurityDescriptorLength getSecurityDescriptorOwner getSecurityDescriptorRMControl "
            "getSecurityDescriptorSacl getSecurityInfo getSidIdentifierAuthority getSidSubAuthority "
            "getSidSubAuthorityCount initializeSecurityDescriptor isTokenRestricted isValidSecurityDescriptor "
            "isValidSid isWellKnownSid makeAbsoluteSD makeSelfRelativeSD setEntriesInAcl "
            "setSecurityDescriptorControl setSecurityDescriptorDacl setSecurityDescriptorGroup "
            "setSecurityDescriptorOwner setSecurityDescriptorRMControl setSecurityDescriptorSacl"
        ),
        "golang.org/x/sys/windows/registry": (
            "regConnectRegistry regCreateKeyEx regDeleteKey regDeleteValue regEnumValue regLoadMUIString regSetValueEx"
        ),
        "internal/syscall/windows": (
            "DuplicateTokenEx ImpersonateLoggedOnUser ImpersonateSelf IsValidSid LogonUser LookupPrivilegeValue "
            "OpenSCManager OpenService OpenThreadToken QueryServiceStatus RevertToSelf SetEntriesInAcl "
            "SetTokenInformation _SetNamedSecurityInfo adjustTokenPrivileges getSidIdentifierAuthority "
            "getSidSubAuthority getSidSubAuthorityCount"
        ),
        "internal/syscall/windows/registry": (
            "regCreateKeyEx regDeleteKey regDeleteValue regEnumValue regLoadMUIString regSetValueEx"
        ),
        "syscall": (
            "ConvertSidToStringSid ConvertStringSidToSid CopySid CreateProcessAsUser CryptAcquireContext "
            "CryptGenRandom CryptReleaseContext GetLengthSid GetTokenInformation LookupAccountName "
            "LookupAccountSid OpenProcessToken RegCloseKey RegOpenKeyEx RegQueryInfoKey RegQueryValueEx "
            "regEnumKeyEx"
        ),
    },
    "bcryptprimitives.dll": {
        "internal/syscall/windows": ("ProcessPrng"),
    },
    "cfgmgr32.dll": {
        "golang.org/x/sys/windows": (
            "cm_Get_DevNode_Status cm_Get_Device_Interface_List cm_Get_Device_Interface_List_Size cm_MapCrToWin32Err"
        ),
    },
    "crypt32.dll": {
        "golang.org/x/sys/windows": (
            "CertAddCertificateContextToStore CertCloseStore CertCreateCertificateContext "
            "CertDeleteCertificateFromStore CertDuplicateCertificateContext CertEnumCertificatesInStore "
            "CertFindCertificateInStore CertFindChainInStore CertFindExtension CertFreeCertificateChain "
            "CertFreeCertificateContext CertGetCertificateChain CertGetNameString CertOpenStore "
            "CertOpenSystemStore CertVerifyCertificateChainPolicy CryptAcquireCertificatePrivateKey "
            "CryptDecodeObject CryptProtectData CryptQueryObject CryptUnprotectData PFXImportCertStore"
        ),
        "syscall": (
            "CertAddCertificateContextToStore CertCloseStore CertCreateCertificateContext "
            "CertEnumCertificatesInStore CertFreeCertificateChain CertFreeCertificateContext "
            "CertGetCertificateChain CertOpenStore CertOpenSystemStore CertVerifyCertificateChainPolicy"
        ),
    },
    "dnsapi.dll": {
        "golang.org/x/sys/windows": ("DnsNameCompare DnsRecordListFree _DnsQuery"),
        "syscall": ("DnsNameCompare DnsRecordListFree _DnsQuery"),
    },
    "dwmapi.dll": {
        "golang.org/x/sys/windows": ("DwmGetWindowAttribute DwmSetWindowAttribute"),
    },
    "iphlpapi.dll": {
        "golang.org/x/sys/windows": (
            "CancelMibChangeNotify2 FreeMibTable GetAdaptersAddresses GetAdaptersInfo GetIfEntry GetIfEntry2Ex "
            "GetIfTable2Ex GetIpForwardEntry2 GetIpForwardTable2 GetIpInterfaceEntry GetIpInterfaceTable "
            "GetUnicastIpAddressEntry GetUnicastIpAddressTable NotifyIpInterfaceChange NotifyRouteChange2 "
            "NotifyUnicastIpAddressChange getBestInterfaceEx"
        ),
        "internal/syscall/windows": ("GetAdaptersAddresses"),
        "syscall": ("GetAdaptersInfo GetIfEntry"),
    },
    "kernel32.dll": {
        "golang.org/x/sys/windows": (
            "AddDllDirectory AssignProcessToJobObject CancelIo CancelIoEx ClearCommBreak ClearCommError "
            "CloseHandle ClosePseudoConsole ConnectNamedPipe CreateDirectory CreateEvent CreateEventEx CreateFile "
            "CreateFileMapping CreateHardLink CreateIoCompletionPort CreateJobObject CreateMutex CreateMutexEx "
            "CreateNamedPipe CreatePipe CreateProcess CreateSymbolicLink CreateToolhelp32Snapshot DefineDosDevice "
            "DeleteFile DeleteVolumeMountPoint DeviceIoControl DisconnectNamedPipe DuplicateHandle "
            "EscapeCommFunction ExitProcess ExpandEnvironmentStrings FindClose FindCloseChangeNotification "
            "FindFirstVolume FindFirstVolumeMountPoint FindNextChangeNotification FindNextVolume "
            "FindNextVolumeMountPoint FindVolumeClose FindVolumeMountPointClose FlushConsoleInputBuffer "
            "FlushFileBuffers FlushViewOfFile FormatMessage FreeEnvironmentStrings FreeLibrary "
            "GenerateConsoleCtrlEvent GetACP GetActiveProcessorCount GetCommModemStatus GetCommState "
            "GetCommTimeouts GetCommandLine GetComputerName GetComputerNameEx GetConsoleCP GetConsoleMode "
            "GetConsoleOutputCP GetConsoleScreenBufferInfo GetCurrentDirectory GetCurrentProcessId "
            "GetCurrentThreadId GetDiskFreeSpaceEx GetDriveType GetEnvironmentStrings GetEnvironmentVariable "
            "GetExitCodeProcess GetFileAttributes GetFileAttributesEx GetFileInformationByHandle "
            "GetFileInformationByHandleEx GetFileTime GetFileType GetFinalPathNameByHandle GetFullPathName "
            "GetLargePageMinimum GetLastError GetLogicalDriveStrings GetLogicalDrives GetLongPathName "
            "GetMaximumProcessorCount GetModuleFileName GetModuleHandleEx GetNamedPipeClientProcessId "
            "GetNamedPipeHandleState GetNamedPipeInfo GetNamedPipeServerProcessId GetNumberOfConsoleInputEvents "
            "GetOverlappedResult GetPriorityClass GetProcessId GetProcessShutdownParameters GetProcessTimes "
            "GetProcessWorkingSetSizeEx GetQueuedCompletionStatus GetShortPathName GetStdHandle "
            "GetSystemTimeAsFileTime GetSystemTimePreciseAsFileTime GetTempPath GetTimeZoneInformation GetVersion "
            "GetVolumeInformation GetVolumeInformationByHandle GetVolumeNameForVolumeMountPoint GetVolumePathName "
            "GetVolumePathNamesForVolumeName IsProcessorFeaturePresent IsWow64Process IsWow64Process2 "
            "LoadResource LocalAlloc LocalFree LockFileEx LockResource MapViewOfFile Module32First Module32Next "
            "MoveFile MoveFileEx MultiByteToWideChar OpenEvent OpenMutex OpenProcess OpenThread "
            "PostQueuedCompletionStatus Process32First Process32Next ProcessIdToSessionId PulseEvent PurgeComm "
            "QueryDosDevice QueryFullProcessImageName QueryInformationJobObject ReadConsole ReadDirectoryChanges "
            "ReadProcessMemory ReleaseMutex RemoveDirectory RemoveDllDirectory ResetEvent ResumeThread "
            "SetCommBreak SetCommMask SetCommState SetCommTimeouts SetConsoleCP SetConsoleMode SetConsoleOutputCP "
            "SetCurrentDirectory SetDefaultDllDirectories SetEndOfFile SetEnvironmentVariable SetErrorMode "
            "SetEvent SetFileAttributes SetFileCompletionNotificationModes SetFileInformationByHandle "
            "SetFilePointer SetFileTime SetFileValidData SetHandleInformation SetInformationJobObject "
            "SetNamedPipeHandleState SetPriorityClass SetProcessPriorityBoost SetProcessShutdownParameters "
            "SetProcessWorkingSetSizeEx SetStdHandle SetVolumeLabel SetVolumeMountPoint SetupComm SizeofResource "
            "SleepEx TerminateJobObject TerminateProcess Thread32First Thread32Next UnlockFileEx UnmapViewOfFile "
            "VirtualAlloc VirtualFree VirtualLock VirtualProtect VirtualProtectEx VirtualQuery VirtualQueryEx "
            "VirtualUnlock WTSGetActiveConsoleSessionId WaitCommEvent WaitForSingleObject WriteConsole "
            "WriteProcessMemory _FindFirstChangeNotification _GetProcAddress _LoadLibrary _LoadLibraryEx "
            "_SetDllDirectory createPseudoConsole deleteProcThreadAttributeList findFirstFile1 findNextFile1 "
            "findResource getProcessPreferredUILanguages getStartupInfo getSystemDirectory "
            "getSystemPreferredUILanguages getSystemWindowsDirectory getThreadPreferredUILanguages getTickCount64 "
            "getUserPreferredUILanguages getWindowsDirectory initializeProcThreadAttributeList readFile "
            "resizePseudoConsole setConsoleCursorPosition updateProcThreadAttribute waitForMultipleObjects "
            "writeFile"
        ),
        "golang.org/x/sys/windows/registry": ("expandEnvironmentStrings"),
        "internal/syscall/windows": (
            "CreateEvent CreateIoCompletionPort CreateNamedPipe GetACP GetComputerNameEx GetConsoleCP "
            "GetCurrentThread GetFileInformationByHandleEx GetFileSizeEx GetFinalPathNameByHandle "
            "GetModuleFileName GetModuleHandle GetOverlappedResult GetTempPath2 GetVolumeInformationByHandle "
            "GetVolumeNameForVolumeMountPoint LockFileEx Module32First Module32Next MoveFileEx "
            "MultiByteToWideChar ReOpenFile RtlLookupFunctionEntry RtlVirtualUnwind SetFileInformationByHandle "
            "UnlockFileEx VirtualQuery"
        ),
        "internal/syscall/windows/registry": ("expandEnvironmentStrings"),
        "syscall": (
            "CancelIo CancelIoEx CloseHandle CreateDirectory CreateFileMapping CreateHardLink CreatePipe "
            "CreateProcess CreateSymbolicLink CreateToolhelp32Snapshot DeleteFile DeviceIoControl DuplicateHandle "
            "ExitProcess FindClose FlushFileBuffers FlushViewOfFile FreeEnvironmentStrings FreeLibrary "
            "GetCommandLine GetComputerName GetConsoleMode GetCurrentDirectory GetCurrentProcess "
            "GetEnvironmentStrings GetEnvironmentVariable GetExitCodeProcess GetFileAttributes "
            "GetFileAttributesEx GetFileInformationByHandle GetFileType GetFullPathName GetLastError "
            "GetLongPathName GetProcessTimes GetShortPathName GetStdHandle GetSystemTimeAsFileTime GetTempPath "
            "GetTimeZoneInformation GetVersion LocalFree MapViewOfFile MoveFile OpenProcess Process32First "
            "Process32Next ReadConsole ReadDirectoryChanges RemoveDirectory SetCurrentDirectory SetEndOfFile "
            "SetEnvironmentVariable SetFileAttributes SetFileCompletionNotificationModes SetFilePointer "
            "SetFileTime SetHandleInformation TerminateProcess UnmapViewOfFile VirtualLock VirtualUnlock "
            "WaitForSingleObject WriteConsole _GetProcAddress _LoadLibrary createFile createIoCompletionPort "
            "deleteProcThreadAttributeList findFirstFile1 findNextFile1 formatMessage getCurrentProcessId "
            "getFinalPathNameByHandle getQueuedCompletionStatus getStartupInfo initializeProcThreadAttributeList "
            "localAlloc postQueuedCompletionStatus readFile setFileInformationByHandle updateProcThreadAttribute "
            "writeFile"
        ),
    },
    "mswsock.dll": {
        "golang.org/x/sys/windows": ("AcceptEx GetAcceptExSockaddrs TransmitFile"),
        "syscall": ("AcceptEx GetAcceptExSockaddrs TransmitFile"),
    },
    "netapi32.dll": {
        "golang.org/x/sys/windows": ("NetApiBufferFree NetGetJoinInformation NetUserEnum NetUserGetInfo"),
        "internal/syscall/windows": ("NetShareAdd NetShareDel NetUserAdd NetUserDel NetUserGetLocalGroups"),
        "syscall": ("NetApiBufferFree NetGetJoinInformation NetUserGetInfo"),
    },
    "ntdll.dll": {
        "golang.org/x/sys/windows": (
            "NtCreateFile NtCreateNamedPipeFile NtQueryEaFile NtQueryInformationFile NtQueryInformationProcess "
            "NtQuerySystemInformation NtSetEaFile NtSetInformationFile NtSetInformationProcess "
            "NtSetSystemInformation RtlAddFunctionTable RtlDefaultNpAcl RtlDeleteFunctionTable "
            "RtlDosPathNameToNtPathName RtlDosPathNameToRelativeNtPathName RtlGetCurrentPeb RtlInitString "
            "RtlInitUnicodeString rtlGetNtVersionNumbers rtlGetVersion rtlNtStatusToDosErrorNoTeb"
        ),
        "internal/syscall/windows": (
            "NtCreateFile NtOpenFile NtQueryInformationFile NtSetInformationFile RtlIsDosDeviceName_U "
            "rtlGetVersion rtlNtStatusToDosErrorNoTeb"
        ),
    },
    "ole32.dll": {
        "golang.org/x/sys/windows": (
            "CoGetObject CoInitializeEx CoTaskMemFree CoUninitialize clsidFromString coCreateGuid stringFromGUID2"
        ),
    },
    "psapi.dll": {
        "golang.org/x/sys/windows": (
            "EnumProcessModules EnumProcessModulesEx GetModuleBaseName GetModuleFileNameEx GetModuleInformation "
            "QueryWorkingSetEx enumProcesses"
        ),
        "internal/syscall/windows": ("GetProcessMemoryInfo"),
    },
    "sechost.dll": {
        "golang.org/x/sys/windows": ("SubscribeServiceChangeNotifications UnsubscribeServiceChangeNotifications"),
    },
    "secur32.dll": {
        "golang.org/x/sys/windows": ("GetUserNameEx TranslateName"),
        "syscall": ("GetUserNameEx TranslateName"),
    },
    "setupapi.dll": {
        "golang.org/x/sys/windows": (
            "SetupDiBuildDriverInfoList SetupDiCallClassInstaller SetupDiCancelDriverInfoSearch "
            "SetupDiDestroyDeviceInfoList SetupDiDestroyDriverInfoList SetupDiGetClassInstallParams "
            "SetupDiOpenDevRegKey SetupDiSetClassInstallParams SetupDiSetDeviceInstallParams "
            "SetupDiSetSelectedDevice SetupDiSetSelectedDriver setupDiClassGuidsFromNameEx "
            "setupDiClassNameFromGuidEx setupDiCreateDeviceInfo setupDiCreateDeviceInfoListEx "
            "setupDiEnumDeviceInfo setupDiEnumDriverInfo setupDiGetClassDevsEx setupDiGetDeviceInfoListDetail "
            "setupDiGetDeviceInstallParams setupDiGetDeviceInstanceId setupDiGetDeviceProperty "
            "setupDiGetDeviceRegistryProperty setupDiGetDriverInfoDetail setupDiGetSelectedDevice "
            "setupDiGetSelectedDriver setupDiSetDeviceRegistryProperty setupUninstallOEMInf"
        ),
    },
    "shell32.dll": {
        "golang.org/x/sys/windows": ("ShellExecute commandLineToArgv shGetKnownFolderPath"),
        "syscall": ("CommandLineToArgv"),
    },
    "user32.dll": {
        "golang.org/x/sys/windows": (
            "EnumChildWindows EnumWindows ExitWindowsEx GetClassName GetDesktopWindow GetForegroundWindow "
            "GetGUIThreadInfo GetKeyboardLayout GetShellWindow GetWindowThreadProcessId IsWindow IsWindowUnicode "
            "IsWindowVisible LoadKeyboardLayout MessageBox ToUnicodeEx UnloadKeyboardLayout"
        ),
    },
    "userenv.dll": {
        "golang.org/x/sys/windows": ("CreateEnvironmentBlock DestroyEnvironmentBlock GetUserProfileDirectory"),
        "internal/syscall/windows": ("CreateEnvironmentBlock DestroyEnvironmentBlock GetProfilesDirectory"),
        "syscall": ("GetUserProfileDirectory"),
    },
    "version.dll": {
        "golang.org/x/sys/windows": ("_GetFileVersionInfo _GetFileVersionInfoSize _VerQueryValue"),
    },
    "winmm.dll": {
        "golang.org/x/sys/windows": ("TimeBeginPeriod TimeEndPeriod"),
    },
    "wintrust.dll": {
        "golang.org/x/sys/windows": ("WinVerifyTrustEx"),
    },
    "ws2_32.dll": {
        "golang.org/x/sys/windows": (
            "Closesocket FreeAddrInfoW GetAddrInfoW Getsockopt Ntohs Setsockopt WSACleanup WSADuplicateSocket "
            "WSAEnumProtocols WSAGetOverlappedResult WSAIoctl WSALookupServiceBegin WSALookupServiceEnd "
            "WSALookupServiceNext WSARecv WSARecvFrom WSASend WSASendTo WSASocket WSAStartup _GetHostByName "
            "_GetProtoByName _GetServByName bind connect getpeername getsockname listen recvfrom sendto shutdown "
            "socket"
        ),
        "internal/syscall/windows": ("WSADuplicateSocket WSAGetOverlappedResult WSASocket"),
        "syscall": (
            "Closesocket FreeAddrInfoW GetAddrInfoW Getsockopt Ntohs Setsockopt WSACleanup WSAEnumProtocols "
            "WSAIoctl WSARecv WSARecvFrom WSASend WSASendTo WSAStartup _GetHostByName _GetProtoByName "
            "_GetServByName bind connect getpeername getsockname listen shutdown socket"
        ),
    },
    "wtsapi32.dll": {
        "golang.org/x/sys/windows": ("WTSEnumerateSessions WTSFreeMemory WTSQueryUserToken"),
    },
}

WRAPPERS: dict[str, str] = {
    f"{package}.{name}": library
    for library, packages in _TABLE.items()
    for package, names in packages.items()
    for name in names.split()
}
"""Libraries in lower case by function: `syscall.NetUserGetInfo` calls `netapi32.dll`."""
