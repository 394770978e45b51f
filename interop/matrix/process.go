// Package matrix runs every case of every client directly and through a proxy, and compares.
package matrix

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"interop/peer"
)

// Process is a child of the runner. It is ended by its own pid, never by a name.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	log  *tail
	err  error
	// stdin stays open as long as the process is wanted; peers end when it is closed, so that none is
	// left behind when the runner dies.
	stdin io.WriteCloser
}

// tail keeps the end of what a process wrote to stderr, for reports.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - 64<<10; extra > 0 {
		t.text = t.text[extra:]
	}
	return len(p), nil
}

// Start runs a program and hands each line of its stdout and stderr to `line` until that returns
// true, which means that it is ready.
func Start(line func(string) bool, env []string, name string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(name, args...), done: make(chan struct{}), log: &tail{}}
	p.cmd.Env = append(os.Environ(), env...)
	ready := make(chan struct{})
	var once sync.Once
	var mu sync.Mutex
	watch := func(r io.Reader) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 1<<16), 1<<20)
		for s.Scan() {
			_, _ = p.log.Write(append(s.Bytes(), '\n'))
			mu.Lock()
			isReady := line(s.Text())
			mu.Unlock()
			if isReady {
				once.Do(func() { close(ready) })
			}
		}
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var readers sync.WaitGroup
	readers.Add(2)
	go func() { defer readers.Done(); watch(stdout) }()
	go func() { defer readers.Done(); watch(stderr) }()
	go func() {
		readers.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	select {
	case <-ready:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s ended before it was ready (%v):\n%s", filepath.Base(name), p.err, p.Log())
	case <-time.After(15 * time.Second):
		p.Kill()
		return nil, fmt.Errorf("%s was not ready in 15 s:\n%s", filepath.Base(name), p.Log())
	}
}

// Log is the end of what the process wrote.
func (p *Process) Log() string {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	return string(p.log.text)
}

// Term asks the process to end, and does not wait.
func (p *Process) Term() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Kill ends the process now.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Alive is false once the process has ended by itself.
func (p *Process) Alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Server is a running Kitex server of the matrix.
type Server struct {
	*Process
	Addr    string
	control string
}

// Flags are the arguments of cmd/server for these options.
func Flags(o peer.Options, addr string) []string {
	args := []string{"-addr", addr, fmt.Sprintf("-handler=%v", o.Handler)}
	for flag, on := range map[string]bool{"-mux": o.Mux, "-crc32c": o.Crc32c, "-pb": o.Protobuf, "-strict": o.Strict} {
		if on {
			args = append(args, flag)
		}
	}
	return args
}

// StartServer runs cmd/server from the folder of built programs.
func StartServer(bin string, o peer.Options, addr string) (*Server, error) {
	s := &Server{}
	p, err := Start(func(line string) bool {
		if rest, ok := strings.CutPrefix(line, "LISTEN "); ok {
			s.Addr = rest
		}
		if rest, ok := strings.CutPrefix(line, "CONTROL "); ok {
			s.control = rest
		}
		return s.Addr != "" && s.control != ""
	}, nil, filepath.Join(bin, "server"), Flags(o, addr)...)
	s.Process = p
	return s, err
}

// Take asks what the handlers saw since the last time.
func (s *Server) Take() []peer.Seen {
	resp, err := http.Get("http://" + s.control + "/take")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var out []peer.Seen
	_ = json.NewDecoder(resp.Body).Decode(&out)
	return out
}

var listening = regexp.MustCompile(`listening.*?(127\.0\.0\.1:[1-9]\d*)`) // not the configured port 0

// Proxy is what stands between client and server.
type Proxy struct {
	Addr string
	stop func()
	log  func() string
	pid  int
	// process is nil for stand-ins within the runner.
	process *Process
}

// Process is the proxy's own process; nil for a stand-in within the runner.
func (p *Proxy) Process() *Process { return p.process }

// Stop ends it.
func (p *Proxy) Stop() { p.stop() }

// Log is the end of what it wrote.
func (p *Proxy) Log() string { return p.log() }

// StartProxy runs the proxy's binary with one listener, one route and one cluster.
func StartProxy(binary, dir, endpoint, pingpong string, mux bool) (*Proxy, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "workers = 2\n\n[[listener]]\nbind = \"127.0.0.1:0\"\n\n[[route]]\ncluster = \"backend\"\n\n")
	fmt.Fprintf(&b, "[cluster.backend]\nendpoints = [%q]\n", endpoint)
	if pingpong != "" {
		fmt.Fprintf(&b, "pingpong = %q\n", pingpong)
	}
	if mux {
		b.WriteString("mux = true\n")
	}
	return StartProxyWith(binary, dir, b.String())
}

// StartProxyWith runs the proxy's binary with a whole configuration.
func StartProxyWith(binary, dir, config string) (*Proxy, error) {
	file, err := os.CreateTemp(dir, "proxy-*.toml")
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(config); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	var addr string
	p, err := Start(func(line string) bool {
		if m := listening.FindStringSubmatch(line); m != nil {
			addr = m[1]
		}
		return addr != ""
	}, []string{"NO_COLOR=1"}, binary, "run", "--config", file.Name())
	if err != nil {
		return nil, fmt.Errorf("%w\nwith the configuration:\n%s", err, config)
	}
	return &Proxy{Addr: addr, stop: p.Kill, log: p.Log, pid: p.cmd.Process.Pid, process: p}, nil
}

// startKitexProxy runs cmd/kitexproxy.
func startKitexProxy(bin, endpoint, transport string) (*Proxy, error) {
	var addr string
	p, err := Start(func(line string) bool {
		addr = strings.TrimPrefix(line, "LISTEN ")
		return strings.HasPrefix(line, "LISTEN ")
	}, nil, filepath.Join(bin, "kitexproxy"), "-backend", endpoint, "-transport", transport)
	if err != nil {
		return nil, err
	}
	return &Proxy{Addr: addr, stop: p.Kill, log: p.Log, pid: p.cmd.Process.Pid}, nil
}

// RelayProxy is a plain TCP relay in the place of a proxy, to check the harness.
func RelayProxy(endpoint string) (*Proxy, error) {
	r, err := StartRecorder(endpoint, false)
	if err != nil {
		return nil, err
	}
	return &Proxy{Addr: r.Addr, stop: r.Stop, log: func() string { return "" }}, nil
}
