package main

import "runtime"

func main() {
	for started := 0; started < 100; started++ {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	select {}
}
