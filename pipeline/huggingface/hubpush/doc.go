// Package hubpush pushes files to a repository of the Hugging Face Hub, as one commit.
//
//	result, err := hubpush.New(client).Push(ctx, hubpush.Push{
//		Kind: hubapi.Models, ID: "owner/name", Private: true, Summary: "tunebus run r1", Files: files,
//	})
//
// It sends what huggingface_hub sends to a Hub without Xet, which is still served:
//
//	POST /api/repos/create                  unless the repository exists
//	GET  .../revision/main, .../tree/...    what is there
//	POST /api/<kind>/<id>/preupload/main    which files go to the large storage
//	POST /<id>.git/info/lfs/objects/batch   where they go
//	PUT  <address>, without the token       the content, whole or in parts
//	POST <verify>
//	POST /api/<kind>/<id>/commit/main       lines of JSON
//
// # Promises
//
//   - Files whose content the repository has are not pushed, and where it has all of
//     them there is no commit.
//   - A commit names the commit that was compared before it. The Hub refuses it if
//     another one came in between; then everything is compared again. So a push that is
//     repeated, after a lost answer or by two processes, makes one commit.
//   - Contents are streamed. Nothing that the Hub says decides how much memory is taken.
//   - Files of the repository that are not pushed stay as they are.
package hubpush
