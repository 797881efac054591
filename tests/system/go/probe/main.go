// Probe is a program for the tests of wingo run: it serves, misbehaves, and tries to get out.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		os.Args = append(os.Args, "serve")
	}
	args := os.Args[2:]
	switch os.Args[1] {
	case "serve":
		serve()
	case "exit":
		code, _ := strconv.Atoi(args[0])
		os.Exit(code)
	case "echo":
		io.Copy(os.Stdout, os.Stdin)
	case "print":
		fmt.Println(args)
		fmt.Fprintln(os.Stderr, "and this is an error")
	case "info":
		info()
	case "read":
		data, err := os.ReadFile(args[0])
		fmt.Printf("%s%v\n", data, err)
		exitOn(err)
	case "write":
		exitOn(os.WriteFile(args[0], []byte(args[1]), 0o644))
	case "remove":
		exitOn(os.RemoveAll(args[0]))
	case "run":
		command := exec.Command(args[0], args[1:]...)
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		exitOn(command.Run())
	case "dial":
		connection, err := net.DialTimeout(args[0], args[1], 2*time.Second)
		exitOn(err)
		connection.Close()
	case "listen":
		listener, err := net.Listen("tcp", args[0])
		exitOn(err)
		listener.Close()
	case "ignore":
		signal.Ignore(syscall.SIGTERM, os.Interrupt)
		fmt.Println("ignoring")
		time.Sleep(time.Hour)
	case "sleep":
		fmt.Println("sleeping")
		time.Sleep(time.Hour)
	case "signal":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Second)
		self := exec.Command("/proc/self/exe", "exit", "1")
		self.Run()
		os.Exit(9)
	case "forkbomb":
		forkbomb()
	case "memory":
		memory()
	case "use":
		use(args[0], args[1])
	case "disk":
		disk(args[0])
	case "escape":
		escape(args)
	default:
		fmt.Fprintln(os.Stderr, "unknown:", os.Args)
		os.Exit(2)
	}
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			data, _ := io.ReadAll(r.Body)
			if err := os.WriteFile(filepath.Join("/data", r.URL.Path), data, 0o644); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
			return
		}
		fmt.Fprintf(w, "hello from %s as %d", r.URL.Path, os.Getuid())
	})
	packets, err := net.ListenPacket("udp", ":8081")
	exitOn(err)
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			size, sender, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			packets.WriteTo(append([]byte("echo "), buffer[:size]...), sender)
		}
	}()
	server := &http.Server{Addr: ":8080"}
	stopped := make(chan struct{})
	go func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
		fmt.Println("stopping on", <-signals)
		timeout, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(timeout)
		close(stopped)
	}()
	fmt.Println("serving")
	server.ListenAndServe()
	<-stopped
	fmt.Println("stopped")
}

func info() {
	host, _ := os.Hostname()
	folder, _ := os.Getwd()
	status, _ := os.ReadFile("/proc/self/status")
	found := map[string]any{
		"uid": os.Getuid(), "gid": os.Getgid(), "pid": os.Getpid(), "env": os.Environ(),
		"host": host, "cwd": folder, "args": os.Args, "status": string(status),
	}
	if _, err := os.Stdin.Stat(); err == nil {
		var size [4]uint16
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGWINSZ, uintptr(ptr(&size)))
		found["terminal"] = errno == 0
		found["rows"] = size[0]
	}
	json.NewEncoder(os.Stdout).Encode(found)
}

func forkbomb() {
	fmt.Println("forking")
	started := 0
	for {
		command := exec.Command("/proc/self/exe", "sleep")
		if err := command.Start(); err != nil {
			fmt.Println("refused after", started, err)
			os.Exit(11)
		}
		started++
		if started > 5000 {
			fmt.Println("never refused")
			os.Exit(12)
		}
	}
}

func memory() {
	fmt.Println("waiting")
	io.Copy(io.Discard, os.Stdin)
	var kept [][]byte
	for size := 0; size < 4096; size += 16 {
		block := bytes.Repeat([]byte{1}, 16<<20)
		kept = append(kept, block)
		fmt.Println(size+16, "MiB", len(kept))
	}
	time.Sleep(time.Second)
	os.Exit(12)
}

// use takes some MiB of memory and as many pages as a file has, holds them for a moment, and fails.
func use(size, path string) {
	number, _ := strconv.Atoi(size)
	block := bytes.Repeat([]byte{1}, number<<20)
	file, err := os.Open(path)
	exitOn(err)
	status, err := file.Stat()
	exitOn(err)
	pages, err := syscall.Mmap(int(file.Fd()), 0, int(status.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	exitOn(err)
	sum := 0
	for at := 0; at < len(pages); at += 4096 {
		sum += int(pages[at])
	}
	time.Sleep(300 * time.Millisecond)
	fmt.Println(len(block), sum)
	os.Exit(5)
}

func disk(folder string) {
	block := bytes.Repeat([]byte{1}, 4<<20)
	for number := 0; number < 1024; number++ {
		if err := os.WriteFile(filepath.Join(folder, "fill-"+strconv.Itoa(number)), block, 0o644); err != nil {
			fmt.Println(err)
			os.Exit(11)
		}
		time.Sleep(5 * time.Millisecond)
	}
	os.Exit(12)
}

// verdict is "" when an attempt was refused, as it should be.
func escape(args []string) {
	findings := map[string]string{}
	for name, attempt := range attempts {
		if what := attempt(args); what != "" {
			findings[name] = what
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"tried": len(attempts), "findings": findings})
}

func refused(name string, number uintptr, arguments ...uintptr) func([]string) string {
	return func([]string) string {
		for len(arguments) < 6 {
			arguments = append(arguments, 0)
		}
		_, _, errno := syscall.RawSyscall6(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5])
		if errno == syscall.EPERM || errno == syscall.ENOSYS {
			return ""
		}
		return fmt.Sprintf("%s: %v", name, errno)
	}
}

func cannotWrite(path string) func([]string) string {
	return func([]string) string {
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return ""
		}
		defer file.Close()
		if _, err = file.WriteString("1"); err != nil {
			return ""
		}
		return "could write " + path
	}
}

func cannotReach(network, address string) string {
	connection, err := net.DialTimeout(network, address, time.Second)
	if err != nil {
		return ""
	}
	connection.Close()
	return "reached " + address
}

// seen says whether the canary of the machine outside, args[0], can be read from here.
func seen(args []string) string {
	if data, err := os.ReadFile(args[0]); err == nil {
		return "read the canary: " + string(data)
	}
	return ""
}

var attempts = map[string]func([]string) string{
	"canary": seen,
	"mount": func([]string) string {
		if err := syscall.Mount("none", "/tmp", "tmpfs", 0, ""); err != nil {
			return ""
		}
		return "mounted"
	},
	"remount": func([]string) string {
		if err := syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_BIND, ""); err != nil {
			return ""
		}
		return "remounted"
	},
	"unshare user": func([]string) string {
		if err := syscall.Unshare(syscall.CLONE_NEWUSER); err != nil {
			return ""
		}
		return "made a user namespace"
	},
	"clone user": func([]string) string {
		command := exec.Command("/proc/self/exe", "exit", "0")
		command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
		if err := command.Run(); err != nil {
			return ""
		}
		return "cloned into a user namespace"
	},
	"enter init's namespaces": func([]string) string {
		file, err := os.Open("/proc/1/ns/mnt")
		if err != nil {
			return ""
		}
		defer file.Close()
		_, _, errno := syscall.RawSyscall(setns, file.Fd(), 0, 0)
		if errno == syscall.EPERM {
			return ""
		}
		return "setns: " + errno.Error()
	},
	"chroot": func(args []string) string {
		// The classic: keep a directory open outside of a new root, and climb from there.
		folder, err := os.MkdirTemp("", "x")
		if err != nil {
			folder = "/proc"
		}
		outside, err := os.Open("/")
		if err != nil {
			return ""
		}
		defer outside.Close()
		if syscall.Chroot(folder) != nil {
			return ""
		}
		outside.Chdir()
		for range [64]int{} {
			os.Chdir("..")
		}
		syscall.Chroot(".")
		return seen(args)
	},
	"climb through proc": func(args []string) string {
		for _, root := range []string{"/proc/1/root", "/proc/self/root", "/proc/1/cwd"} {
			if found := seen([]string{root + "/" + strings.Repeat("../", 30) + args[0]}); found != "" {
				return found
			}
		}
		return ""
	},
	"other processes": func([]string) string {
		entries, _ := os.ReadDir("/proc")
		count := 0
		for _, entry := range entries {
			if _, err := strconv.Atoi(entry.Name()); err == nil {
				count++
			}
		}
		if count > 3 {
			return fmt.Sprint("sees ", count, " processes")
		}
		return ""
	},
	"open files": func([]string) string {
		entries, _ := os.ReadDir("/proc/self/fd")
		for _, entry := range entries {
			number, _ := strconv.Atoi(entry.Name())
			target, _ := os.Readlink("/proc/self/fd/" + entry.Name())
			if number > 2 && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/proc/") && target != "" && !strings.HasPrefix(target, "/sys/") && !strings.HasPrefix(target, "pipe:") {
				return "has open " + target
			}
		}
		return ""
	},
	"make a disk": func([]string) string {
		path := filepath.Join(os.TempDir(), "disk")
		err := syscall.Mknod(path, syscall.S_IFBLK|0o600, 254<<8)
		if err != nil {
			return ""
		}
		if _, err := os.Open(path); err != nil {
			return ""
		}
		return "made and opened a block device"
	},
	"devices": func([]string) string {
		known := "null zero full random urandom tty ptmx pts shm mqueue fd stdin stdout stderr console core"
		entries, _ := os.ReadDir("/dev")
		for _, entry := range entries {
			if !strings.Contains(" "+known+" ", " "+entry.Name()+" ") {
				return "has /dev/" + entry.Name()
			}
		}
		return ""
	},
	"new privileges": func([]string) string {
		data, _ := os.ReadFile("/proc/self/status")
		if !strings.Contains(string(data), "NoNewPrivs:\t1") || !strings.Contains(string(data), "Seccomp:\t2") {
			return "no seccomp, or new privileges can be had"
		}
		for _, line := range strings.Split(string(data), "\n") {
			if value, ok := strings.CutPrefix(line, "CapEff:\t"); ok {
				bits, _ := strconv.ParseUint(value, 16, 64)
				// SYS_ADMIN, SYS_PTRACE, SYS_MODULE, SYS_RAWIO, DAC_READ_SEARCH, MKNOD, NET_ADMIN, NET_RAW, SYS_BOOT, SYS_TIME, BPF
				if bits&(1<<21|1<<19|1<<16|1<<17|1<<2|1<<27|1<<12|1<<13|1<<22|1<<25|1<<39) != 0 {
					return "capabilities " + value
				}
			}
		}
		return ""
	},
	"core pattern":     cannotWrite("/proc/sys/kernel/core_pattern"),
	"sysrq":            cannotWrite("/proc/sysrq-trigger"),
	"hostname":         cannotWrite("/proc/sys/kernel/hostname"),
	"uevent helper":    cannotWrite("/sys/kernel/uevent_helper"),
	"kernel memory":    cannotWrite("/proc/kcore"),
	"release agent":    cannotWrite("/sys/fs/cgroup/memory/release_agent"),
	"oom":              cannotWrite("/sys/module/kernel/parameters/panic"),
	"handle":           refused("open_by_handle_at", openByHandle, ^uintptr(99), 0, 0),
	"bpf":              refused("bpf", bpf, 0, 0, 0),
	"perf":             refused("perf_event_open", perfEventOpen, 0, 0, 0),
	"keys":             refused("keyctl", keyctl, 0, 0, 0),
	"io_uring":         refused("io_uring_setup", 425, 1, 0, 0),
	"userfaultfd":      refused("userfaultfd", userfaultfd, 0),
	"new mounts":       refused("fsopen", 430, 0, 0),
	"clone3":           refused("clone3", 435, 0, 0),
	"reboot":           refused("reboot", reboot, 0xfee1dead, 672274793, 0),
	"module":           refused("init_module", initModule, 0, 0, 0),
	"swap":             refused("swapon", swapon, 0, 0),
	"clock":            refused("settimeofday", settimeofday, 0, 0),
	"vsock":            refused("socket", socket, 40, 1, 0),
	"crypto":           refused("socket", socket, 38, 5, 0),
	"packets":          refused("socket", socket, 17, 3, 0),
	"type for another": refused("ioctl", ioctl, 0, 0x5412, 0),
	"raw": func([]string) string {
		_, _, errno := syscall.RawSyscall(socket, 2, 3, 1)
		if errno != 0 {
			return ""
		}
		return "has a raw socket"
	},
	"loopback outside": func(args []string) string {
		for _, host := range []string{"127.0.0.1", "10.0.2.2"} {
			if found := cannotReach("tcp", host+":"+args[1]); found != "" {
				return found
			}
		}
		return ""
	},
	"abstract sockets": func(args []string) string { return cannotReach("unix", "@"+args[2]) },
	"read-only volume": func(args []string) string {
		path := "/volume/new"
		if err := os.WriteFile(path, nil, 0o644); err == nil {
			return "wrote to a read-only volume"
		} else if !errors.Is(err, syscall.EROFS) && !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EPERM) {
			return err.Error()
		}
		return ""
	},
	"signals outside": func(args []string) string {
		number, _ := strconv.Atoi(args[3])
		if err := syscall.Kill(number, 0); err == nil && number > 50 {
			return "can signal " + args[3]
		}
		return ""
	},
}
