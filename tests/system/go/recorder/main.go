// Recorder does what installers do: it writes files and registry values, extends PATH, and ends as it is told to.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/windows/registry"
)

const environment = `SYSTEM\CurrentControlSet\Control\Session Manager\Environment`

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "recorder:", err)
		os.Exit(1)
	}
}

func main() {
	switch os.Args[1] {
	case "install":
		install(os.Args[2])
	case "exit":
		fmt.Println("ending with", os.Args[2])
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "hang":
		fmt.Println("hanging")
		time.Sleep(time.Hour)
	case "nothing":
	case "read":
		text, err := io.ReadAll(os.Stdin)
		must(err)
		fmt.Printf("read %q\n", text)
	}
}

func install(folder string) {
	must(os.MkdirAll(folder, 0o755))
	before := ""
	if key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Before`, registry.QUERY_VALUE); err == nil {
		before, _, _ = key.GetStringValue("A")
		key.Close()
	}
	must(os.WriteFile(filepath.Join(folder, "out.txt"), []byte("before: "+before+"\n"), 0o644))
	must(os.Remove(`C:\data\old.txt`))
	key, _, err := registry.CreateKey(registry.LOCAL_MACHINE, `SOFTWARE\Acme\Tool ä`, registry.ALL_ACCESS)
	must(err)
	must(key.SetStringValue("Name", "wert \"ü\" \\"))
	must(key.SetDWordValue("Number", 7))
	must(key.SetStringsValue("List", []string{"a", "b c"}))
	must(key.SetBinaryValue("Bytes", []byte{0, 1, 255}))
	must(key.SetExpandStringValue("Where", `%ProgramFiles%\Acme`))
	key.Close()
	must(registry.DeleteKey(registry.LOCAL_MACHINE, `SOFTWARE\Gone`))
	system, err := registry.OpenKey(registry.LOCAL_MACHINE, environment, registry.ALL_ACCESS)
	must(err)
	path, _, err := system.GetStringValue("Path")
	must(err)
	must(system.SetExpandStringValue("Path", path+`;C:\Acme\bin`))
	must(system.SetStringValue("ACME_HOME", `C:\Acme`))
	system.Close()
	fmt.Println("installed into", folder)
}
