{{/* The objects' name: the release's, with the chart's in it. Short enough for "-gateway" and the hash of a pod. */}}
{{- define "peat-mesh.fullname" -}}
{{- $name := .Values.nameOverride | default "peat-mesh" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "peat-mesh.gateway.fullname" -}}
{{- printf "%s-gateway" (include "peat-mesh.fullname" .) -}}
{{- end -}}

{{/* Labels by which pods are chosen; they never change. Kubernetes discovery looks for app=peat-mesh. */}}
{{- define "peat-mesh.selectorLabels" -}}
app: peat-mesh
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/*
Labels of every object but the headless Service. Without "app": Kubernetes copies a Service's labels to its
EndpointSlices, and discovery shall see each pod once.
*/}}
{{- define "peat-mesh.labels" -}}
app.kubernetes.io/name: peat-mesh
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "peat-mesh.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "peat-mesh.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "peat-mesh.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* "true" where pods look for each other by Kubernetes, else nothing. */}}
{{- define "peat-mesh.asksKubernetes" -}}
{{- $modes := .Values.discoveryMode -}}
{{- if kindIs "slice" $modes }}{{ $modes = join "," $modes }}{{ end -}}
{{- if regexMatch "(^|,) *(kubernetes|k8s) *(,|$)" $modes }}true{{ end -}}
{{- end -}}

{{/* Where EndpointSlices are read. */}}
{{- define "peat-mesh.discoveryNamespace" -}}
{{- .Values.settings.discoveryNamespace | default .Release.Namespace -}}
{{- end -}}

{{- define "peat-mesh.scheme" -}}
{{- if .Values.tls.existingSecret }}https{{ else }}http{{ end -}}
{{- end -}}

{{/* The broker's URL of one pod: (dict "root" $ "pod" NAME). */}}
{{- define "peat-mesh.podUrl" -}}
{{- printf "%s://%s.%s.%s.svc:%d" (include "peat-mesh.scheme" .root) .pod (include "peat-mesh.fullname" .root) .root.Release.Namespace (int .root.Values.brokerPort) -}}
{{- end -}}
