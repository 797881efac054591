package main

import "unsafe"

const (
	setns         = 308
	openByHandle  = 304
	bpf           = 321
	perfEventOpen = 298
	keyctl        = 250
	userfaultfd   = 323
	reboot        = 169
	initModule    = 175
	swapon        = 167
	settimeofday  = 164
	socket        = 41
	ioctl         = 16
)

func ptr(size *[4]uint16) unsafe.Pointer { return unsafe.Pointer(size) }
