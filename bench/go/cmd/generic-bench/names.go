package main

import "strings"

// contestant reads the name of a criterion benchmark; ok is false where it has no part in the contest.
func contestant(name string) (f figure, ok bool) {
	parts := strings.Split(name, "/")
	if len(parts) < 4 || parts[0] != "json" {
		return f, false
	}
	return figure{Name: strings.Join(parts[3:], "/"), Direction: parts[1], Payload: parts[2]}, true
}
