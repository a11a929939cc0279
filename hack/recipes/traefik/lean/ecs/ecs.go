// Package ecs stands in for the AWS ECS provider: the AWS SDK costs minutes to compile.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider keeps the shape of the static configuration.
type Provider struct{}

// SetDefaults has nothing to set.
func (p *Provider) SetDefaults() {}

// Init refuses.
func (p *Provider) Init() error {
	return errors.New("this Traefik is built without the ECS provider")
}

// Provide provides nothing.
func (p *Provider) Provide(_ chan<- dynamic.Message, _ *safe.Pool) error {
	return nil
}
