package standin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
)

// A Behaviour answers one request in its own way. The document is nil when
// there is none.
type Behaviour func(w http.ResponseWriter, r *http.Request, document []byte)

// Status answers an error in Veryfi's form.
func Status(code int) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) { fail(w, code, http.StatusText(code)) }
}

// RetryAfter is Status with a retry-after of so many seconds.
func RetryAfter(code, seconds int) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		fail(w, code, http.StatusText(code))
	}
}

// Body answers any status and body.
func Body(code int, contentType, body string) Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

// NotJSON answers 200 and a gateway's HTML page.
func NotJSON() Behaviour {
	return Body(http.StatusOK, "text/html", "<html><body>upstream unavailable</body></html>")
}

// Reset ends the connection with a TCP reset and no answer.
func Reset() Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		connection.Close()
	}
}

// Truncated announces the whole document and ends the connection after half of
// it.
func Truncated() Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, document []byte) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(document)))
		w.Write(document[:len(document)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// OtherID answers another document than the one asked for.
func OtherID() Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) { writeDocument(w, Receipt(1)) }
}

// InProgress answers 200 for a document that Veryfi still works on.
func InProgress() Behaviour {
	return func(w http.ResponseWriter, r *http.Request, _ []byte) {
		writeDocument(w, fmt.Appendf(nil, `{"id":%s,"status":"in_progress"}`, path.Base(r.URL.Path)))
	}
}

// Redirect answers 302 to another URL.
func Redirect(url string) Behaviour {
	return func(w http.ResponseWriter, r *http.Request, _ []byte) { http.Redirect(w, r, url, http.StatusFound) }
}

func writeDocument(w http.ResponseWriter, document []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(document)
}
