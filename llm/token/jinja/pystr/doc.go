// Package pystr has what Python does with texts: the methods of str, formatting
// with % and with str.format, and the texts of dates and numbers. Positions
// count code points, and letters change their case as Unicode says, so that
// texts beyond ASCII come out as they do there.
package pystr
