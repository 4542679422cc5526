// Package reader reads the records of data files: JSON lines, JSON, CSV, TSV,
// Parquet, Arrow and XLSX.
//
//	f, err := reader.Open(ctx, path, reader.Options{Name: "train.csv"})
//	…
//	defer f.Close()
//	f.Select("question", "answer")
//	for {
//		record, err := f.Next()
//		if errors.Is(err, io.EOF) {
//			break
//		}
//		…
//	}
//
// What the columns mean is the caller's business. A record is read when it is
// asked for; a file is never held in memory.
package reader
