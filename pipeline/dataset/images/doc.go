// Package images finds the images that the rows of a data set name or hold: paths
// below the folder of the data file, data URLs, and bytes, as the struct of bytes
// and path that Parquet files of the Hub have.
package images
