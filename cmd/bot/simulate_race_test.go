//go:build race

package main

// underRace is whether everything takes ten times as long.
const underRace = true
