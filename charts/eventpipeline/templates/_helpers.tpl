{{- define "eventpipeline.name" -}}
eventpipeline-operator
{{- end }}

{{- define "eventpipeline.selector" -}}
app.kubernetes.io/name: {{ include "eventpipeline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "eventpipeline.labels" -}}
{{ include "eventpipeline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* What the operator does in a namespace that it watches. */}}
{{- define "eventpipeline.rules" -}}
- apiGroups: [eventpipeline.dev]
  resources: [eventpipelines]
  verbs: [get, list, watch, patch]
- apiGroups: [eventpipeline.dev]
  resources: [eventpipelines/status]
  verbs: [patch]
- apiGroups: [eventpipeline.dev]
  resources: [eventpipelines/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [configmaps, secrets, serviceaccounts, services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.traefikClass }}
- apiGroups: [traefik.io]
  resources: [middlewares]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [serviceaccounts/token]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- /* Annotations of what `helm test` needs besides its pod, with its place in the order. */}}
{{- define "eventpipeline.test" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
