// SPDX-License-Identifier: Apache-2.0

// Go's side of the task benchmarks: `micro BENCH WORKERS`.
// Work and sizes are those of bench/micro; one warm-up pass, then the pass that is reported.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	yields1     = 1_000_000
	yields16    = 100_000
	yields10k   = 200
	spawnSeq    = 200_000
	spawnMany   = 1_000_000
	pingpong    = 200_000
	stream      = 2_000_000
	oneshot     = 200_000
	mutexTasks  = 4
	mutexEach   = 200_000
	sleepers    = 1_000_000
	memoryTasks = 100_000
	stealJobs   = 20_000
)

func perOp(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func check(ok bool) {
	if !ok {
		panic("a benchmark lost work")
	}
}

func yields(tasks, each int) float64 {
	var group sync.WaitGroup
	start := time.Now()
	for range tasks {
		group.Go(func() {
			for range each {
				runtime.Gosched()
			}
		})
	}
	group.Wait()
	return perOp(start, tasks*each)
}

func spawnJoinSeq() float64 {
	start := time.Now()
	sum := 0
	for i := range spawnSeq {
		done := make(chan int, 1)
		go func() { done <- i & 1 }()
		sum += <-done
	}
	check(sum == spawnSeq/2)
	return perOp(start, spawnSeq)
}

func spawnJoinMany() float64 {
	start := time.Now()
	handles := make([]chan int, 0, spawnMany)
	for i := range spawnMany {
		done := make(chan int, 1)
		handles = append(handles, done)
		go func() { done <- i & 1 }()
	}
	sum := 0
	for _, done := range handles {
		sum += <-done
	}
	check(sum == spawnMany/2)
	return perOp(start, spawnMany)
}

func chanPingpong() float64 {
	ping, pong := make(chan uint64, 1), make(chan uint64, 1)
	start := time.Now()
	go func() {
		for v := range ping {
			pong <- v + 1
		}
		close(pong)
	}()
	for i := range uint64(pingpong) {
		ping <- i
		check(<-pong == i+1)
	}
	close(ping)
	<-pong
	return perOp(start, pingpong)
}

func chanStream() float64 {
	items := make(chan uint64, 1024)
	start := time.Now()
	go func() {
		for i := range uint64(stream) {
			items <- i
		}
		close(items)
	}()
	sum := uint64(0)
	for v := range items {
		sum += v
	}
	check(sum == uint64(stream)*(stream-1)/2)
	return perOp(start, stream)
}

func oneshots() float64 {
	start := time.Now()
	for i := range oneshot {
		one := make(chan int, 1)
		go func() { one <- i }()
		check(<-one == i)
	}
	return perOp(start, oneshot)
}

func mutex4() float64 {
	var group sync.WaitGroup
	var lock sync.Mutex
	total := 0
	start := time.Now()
	for range mutexTasks {
		group.Go(func() {
			for range mutexEach {
				lock.Lock()
				total++
				lock.Unlock()
			}
		})
	}
	group.Wait()
	check(total == mutexTasks*mutexEach)
	return perOp(start, mutexTasks*mutexEach)
}

func sleep1m() float64 {
	var group sync.WaitGroup
	start := time.Now()
	for i := range sleepers {
		group.Go(func() { time.Sleep(time.Duration(1+i%100) * time.Millisecond) })
	}
	group.Wait()
	return perOp(start, sleepers)
}

func statusKiB(key string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, key) {
			n, _ := strconv.Atoi(strings.Fields(line)[1])
			return float64(n)
		}
	}
	panic(key)
}

func resident() float64 {
	return (statusKiB("VmRSS:") + statusKiB("VmPTE:")) * 1024
}

func settle() { time.Sleep(200 * time.Millisecond) }

func parkedTask() float64 {
	gate := make(chan struct{})
	before := resident()
	for range memoryTasks {
		go func() { <-gate }()
	}
	settle()
	per := (resident() - before) / memoryTasks
	close(gate)
	return per
}

func deferredTask() float64 {
	before := resident()
	for range memoryTasks {
		time.AfterFunc(time.Hour, func() {})
	}
	settle()
	return (resident() - before) / memoryTasks
}

func burn(us int) {
	end := time.Now().Add(time.Duration(us) * time.Microsecond)
	for time.Now().Before(end) {
	}
}

func steal(workers int) float64 {
	var group sync.WaitGroup
	sum := 0
	start := time.Now()
	for i := range stealJobs {
		us := 10 + i*7919%991
		sum += us
		group.Go(func() { burn(us) })
	}
	group.Wait()
	return float64(time.Since(start).Microseconds()) / (float64(sum) / float64(workers))
}

func main() {
	bench := os.Args[1]
	workers, _ := strconv.Atoi(os.Args[2])
	passes := map[string]func() float64{
		"switch":           func() float64 { return yields(2, 500_000) },
		"yield-1":          func() float64 { return yields(1, yields1) },
		"yield-16":         func() float64 { return yields(16, yields16) },
		"yield-10k":        func() float64 { return yields(10_000, yields10k) },
		"spawn-join-seq":   spawnJoinSeq,
		"spawn-join-many":  spawnJoinMany,
		"chan-pingpong":    chanPingpong,
		"chan-stream-1024": chanStream,
		"oneshot":          oneshots,
		"mutex-4":          mutex4,
		"sleep-1m":         sleep1m,
		"parked-task":      parkedTask,
		"deferred-task":    deferredTask,
		"steal":            func() float64 { return steal(workers) },
	}
	pass, ok := passes[bench]
	if !ok {
		fmt.Println(`{"value": null, "reason": "Go has no such thing"}`)
		return
	}
	runtime.GOMAXPROCS(workers)
	switch bench {
	case "parked-task", "deferred-task":
		// A warm-up would fill the allocator's free lists and hide the memory.
		debug.FreeOSMemory()
	case "steal":
	default:
		pass()
	}
	fmt.Printf("{\"value\": %.3f}\n", pass())
}
