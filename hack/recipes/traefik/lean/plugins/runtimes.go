package plugins

import (
	"context"
	"errors"

	"github.com/traefik/traefik/v3/pkg/provider"
)

// The two plugin runtimes, a Go interpreter and a WebAssembly engine, cost minutes to compile;
// no plugin is ever loaded here.
var errNoRuntime = errors.New("this Traefik is built without plugin runtimes")

type providerBuilder struct {
	interpreter any
	Import      string
	BasePkg     string
}

func newInterpreter(context.Context, string, *Manifest, Settings) (any, error) {
	return nil, errNoRuntime
}

func newYaegiMiddlewareBuilder(any, string, string) (middlewareBuilder, error) {
	return nil, errNoRuntime
}

func newWasmMiddlewareBuilder(string, string, string, Settings) (middlewareBuilder, error) {
	return nil, errNoRuntime
}

// BuildProvider refuses every plugin.
func (b Builder) BuildProvider(string, map[string]interface{}) (provider.Provider, error) {
	return nil, errNoRuntime
}
