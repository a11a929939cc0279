module eventpipeline.dev/hack/vault

go 1.24.0

require (
	github.com/hashicorp/vault v1.18.0
	github.com/hashicorp/vault/sdk v0.14.0
)

require (
	github.com/hashicorp/vault-plugin-auth-jwt v0.22.0 // indirect
	github.com/hashicorp/vault-plugin-auth-kubernetes v0.20.0 // indirect
)

replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1

replace github.com/pires/go-proxyproto v1.0.0 => github.com/peteski22/go-proxyproto v1.0.0

replace github.com/hashicorp/go-discover => ./lean/go-discover
