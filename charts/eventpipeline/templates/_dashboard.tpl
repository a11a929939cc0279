{{- /* Grafana's JSON of a dashboard of files/dashboards: {root, dashboard}. Panels stand three in
a row, eight units high; a row's title is one. */}}
{{- define "eventpipeline.dashboard" -}}
{{- $source := dict "type" "prometheus" "uid" "${datasource}" }}
{{- $place := dict "id" 0 "y" 0 }}
{{- $panels := list }}
{{- range .dashboard.rows }}
  {{- $_ := set $place "id" (add1 $place.id) }}
  {{- $at := dict "x" 0 "y" $place.y "w" 24 "h" 1 }}
  {{- $panels = append $panels (dict "id" $place.id "type" "row" "title" .title "collapsed" false "gridPos" $at "panels" list) }}
  {{- $_ := set $place "y" (add1 $place.y) }}
  {{- range $index, $panel := .panels }}
    {{- $_ := set $place "id" (add1 $place.id) }}
    {{- $at := dict "x" (mul 8 (mod $index 3)) "y" (add $place.y (mul 8 (div $index 3))) "w" 8 "h" 8 }}
    {{- $targets := list }}
    {{- range $number, $query := $panel.queries }}
      {{- $targets = append $targets (dict "refId" (printf "Q%d" $number) "datasource" $source "expr" $query.expr "legendFormat" $query.legend "exemplar" (default false $query.exemplar)) }}
    {{- end }}
    {{- $field := dict "defaults" (dict "unit" $panel.unit "min" 0 "custom" (dict "fillOpacity" 8 "showPoints" "never")) "overrides" list }}
    {{- $options := dict "legend" (dict "displayMode" "list" "placement" "bottom") "tooltip" (dict "mode" "multi" "sort" "desc") }}
    {{- $panels = append $panels (dict "id" $place.id "type" "timeseries" "title" $panel.title "description" (default "" $panel.description) "datasource" $source "gridPos" $at "fieldConfig" $field "options" $options "targets" $targets) }}
  {{- end }}
  {{- $_ := set $place "y" (add $place.y (mul 8 (div (add (len .panels) 2) 3))) }}
{{- end }}
{{- $variables := list (dict "name" "datasource" "label" "Data source" "type" "datasource" "query" "prometheus") }}
{{- range .dashboard.variables }}
  {{- $query := printf "label_values(%s, %s)" .of .name }}
  {{- $variables = append $variables (dict "name" .name "type" "query" "datasource" $source "query" $query "refresh" 2 "multi" true "includeAll" true "allValue" ".+" "sort" 1) }}
{{- end }}
{{- range $name, $value := include "eventpipeline.objectives" .root | fromYaml }}
  {{- $variables = append $variables (dict "name" $name "type" "constant" "query" $value "hide" 2 "skipUrlSync" true) }}
{{- end }}
{{- dict "uid" .dashboard.uid "title" .dashboard.title "tags" .dashboard.tags "schemaVersion" 39 "editable" false "refresh" "30s" "time" (dict "from" "now-1h" "to" "now") "templating" (dict "list" $variables) "panels" $panels | toPrettyJson }}
{{- end }}

{{- /* The service level, as queries need it: what may fail, what may be slow, and what slow is. */}}
{{- define "eventpipeline.objectives" -}}
error_budget: {{ round (divf (subf 100 .Values.slo.availability) 100) 6 | quote }}
latency_budget: {{ round (divf (subf 100 .Values.slo.latency.percent) 100) 6 | quote }}
latency_seconds: {{ .Values.slo.latency.seconds | quote }}
{{- end }}
