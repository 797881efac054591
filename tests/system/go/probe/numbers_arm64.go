package main

import "unsafe"

const (
	setns         = 268
	openByHandle  = 265
	bpf           = 280
	perfEventOpen = 241
	keyctl        = 219
	userfaultfd   = 282
	reboot        = 142
	initModule    = 105
	swapon        = 224
	settimeofday  = 170
	socket        = 198
	ioctl         = 29
)

func ptr(size *[4]uint16) unsafe.Pointer { return unsafe.Pointer(size) }
