// Package servecmd has the command that serves models over OpenAI's API.
package servecmd
