{{/* Labels of every object: include "platform.labels" (list . "kafka") */}}
{{- define "platform.labels" -}}
{{- $root := index . 0 -}}
{{ include "platform.selector" . }}
app.kubernetes.io/part-of: eventpipeline-platform
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* Labels that select a component's pods; they never change, selectors are immutable */}}
{{- define "platform.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{/* What all pods share: include "platform.pod" (list . uid) */}}
{{- define "platform.pod" -}}
{{- $root := index . 0 -}}
{{- $uid := index . 1 -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $uid }}
  runAsGroup: {{ $uid }}
  fsGroup: {{ $uid }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The restricted standard, and nothing written outside the mounted volumes */}}
{{- define "platform.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Init container that hands a volume to its server: (list . image uid) with the volume "data" */}}
{{- define "platform.ownVolume" -}}
- name: own-volume
  image: {{ index . 1 }}
  imagePullPolicy: IfNotPresent
  command: [chown, "{{ index . 2 }}:{{ index . 2 }}", /data]
  securityContext:
    runAsUser: 0
    runAsNonRoot: false
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL], add: [CHOWN]}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {memory: 64Mi}
  volumeMounts:
    - {name: data, mountPath: /data}
{{- end }}

{{/* The claim of a StatefulSet: (list . storage) */}}
{{- define "platform.claim" -}}
{{- $storage := index . 1 -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with $storage.className }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ $storage.size }}
{{- end }}

{{/* A generated value: the one that the Secret has already, else a new one (list data key) */}}
{{- define "platform.generated" -}}
{{- index (index . 0) (index . 1) | default (randAlphaNum 32 | b64enc) -}}
{{- end }}
