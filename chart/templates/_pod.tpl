{{/* A value as the text of a variable: lists as comma lists, whole numbers without an exponent. */}}
{{- define "peat-mesh.text" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/*
Variables from values, by files/settings.yaml: (dict "root" $ "isGateway" BOOL). What is not given is left
to the node's defaults. Nothing here depends on replicaCount: scaling must not restart pods.
*/}}
{{- define "peat-mesh.settingsEnv" -}}
{{- $root := .root -}}
{{- $isGateway := .isGateway -}}
{{- range $root.Files.Get "files/settings.yaml" | fromYamlArray -}}
{{- $value := $root.Values -}}
{{- range .path }}{{ $value = get $value . }}{{ end -}}
{{- $text := "" -}}
{{- if not (kindIs "invalid" $value) }}{{ $text = include "peat-mesh.text" $value }}{{ end -}}
{{- if and $isGateway (eq .env "PEAT_STATIC_PEERS") -}}
{{- $text = concat (splitList "," $text) $root.Values.gateway.staticPeers | compact | join "," -}}
{{- end -}}
{{- if and $isGateway (eq .env "PEAT_DISCOVERY") $root.Values.gateway.staticPeers (not (regexMatch "(^|,) *static *(,|$)" $text)) -}}
{{- $text = ternary "static" (printf "%s,static" $text) (or (eq $text "") (eq $text "none")) -}}
{{- end -}}
{{- if or $text .emptyIsValue }}
- name: {{ .env }}
  value: {{ $text | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "peat-mesh.probe" -}}
httpGet:
  path: {{ .path }}
  port: broker
  scheme: {{ include "peat-mesh.scheme" .root | upper }}
periodSeconds: {{ .numbers.periodSeconds }}
timeoutSeconds: {{ .numbers.timeoutSeconds }}
failureThreshold: {{ .numbers.failureThreshold }}
{{- end -}}

{{/*
The node's container, as an item of a list: (dict "root" $ "isGateway" BOOL). Other charts place it beside
their application by peat-mesh.sidecar.container.
*/}}
{{- define "peat-mesh.container" -}}
{{- $v := .root.Values -}}
- name: peat-mesh
  image: {{ include "peat-mesh.image" .root | quote }}
  imagePullPolicy: {{ $v.image.pullPolicy }}
  {{- with $v.securityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  env:
    # The pod's name also where the pod has the host's network and its host name.
    - name: HOSTNAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
    {{- include "peat-mesh.secretEnv" .root | nindent 4 }}
    - name: PEAT_DATA_DIR
      value: /data
    {{- include "peat-mesh.settingsEnv" . | trim | nindent 4 }}
    {{- if $v.sidecar.enabled }}
    - name: PEAT_LISTEN
      value: {{ $v.sidecar.listen | quote }}
    {{- end }}
    {{- if $v.tls.existingSecret }}
    - name: PEAT_TLS_CERT
      value: /etc/peat-mesh/tls/tls.crt
    - name: PEAT_TLS_KEY
      value: /etc/peat-mesh/tls/tls.key
    {{- end }}
    {{- with $v.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - name: broker
      containerPort: {{ $v.brokerPort }}
      protocol: TCP
    - name: iroh-quic
      containerPort: {{ $v.irohBindPort }}
      protocol: UDP
  startupProbe:
    {{- include "peat-mesh.probe" (dict "root" .root "path" "/api/v1/health" "numbers" $v.startupProbe) | nindent 4 }}
  livenessProbe:
    {{- include "peat-mesh.probe" (dict "root" .root "path" "/api/v1/health" "numbers" $v.livenessProbe) | nindent 4 }}
  readinessProbe:
    {{- include "peat-mesh.probe" (dict "root" .root "path" "/api/v1/ready" "numbers" $v.readinessProbe) | nindent 4 }}
  {{- with $v.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - name: data
      mountPath: /data
    - name: tmp
      mountPath: /tmp
    {{- if $v.sidecar.enabled }}
    - name: peat-rpc
      mountPath: /run/peat-sidecar
    {{- end }}
    {{- if $v.tls.existingSecret }}
    - name: tls
      mountPath: /etc/peat-mesh/tls
      readOnly: true
    {{- end }}
    {{- with $v.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The volumes that the node's container mounts, but for the data where that is a claim: (dict "root" $ "isClaimed" BOOL). */}}
{{- define "peat-mesh.volumes" -}}
{{- $v := .root.Values -}}
{{- if not .isClaimed }}
- name: data
  {{- if $v.persistence.emptyDirSizeLimit }}
  emptyDir:
    sizeLimit: {{ include "peat-mesh.text" $v.persistence.emptyDirSizeLimit }}
  {{- else }}
  emptyDir: {}
  {{- end }}
{{- end }}
- name: tmp
  emptyDir: {}
{{- if $v.sidecar.enabled }}
- name: peat-rpc
  emptyDir: {}
{{- end }}
{{- with $v.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
{{- end }}
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* For other charts, below `containers:` and `volumes:` of a pod of theirs; the context is this chart's: index .Subcharts "peat-mesh". */}}
{{- define "peat-mesh.sidecar.container" -}}
{{- include "peat-mesh.container" (dict "root" . "isGateway" false) -}}
{{- end -}}

{{- define "peat-mesh.sidecar.volumes" -}}
{{- include "peat-mesh.volumes" (dict "root" . "isClaimed" false) | trim -}}
{{- end -}}

{{- define "peat-mesh.topologySpread" -}}
{{- $labels := include "peat-mesh.selectorLabels" . | fromYaml -}}
{{- $default := list (dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway") -}}
{{- range .Values.topologySpreadConstraints | default $default }}
- {{ mergeOverwrite (dict "labelSelector" (dict "matchLabels" $labels)) (deepCopy .) | toYaml | nindent 2 | trim }}
{{- end }}
{{- end -}}

{{/* A StatefulSet of nodes: (dict "root" $ "name" NAME "component" node|gateway "replicas" N). */}}
{{- define "peat-mesh.statefulSet" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $isGateway := eq .component "gateway" -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "peat-mesh.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: {{ .replicas }}
  serviceName: {{ include "peat-mesh.fullname" $root }}
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  selector:
    matchLabels:
      {{- include "peat-mesh.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- with $v.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        app.kubernetes.io/name: peat-mesh
        {{- include "peat-mesh.selectorLabels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
      annotations:
        {{- with $v.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        kubectl.kubernetes.io/default-container: peat-mesh
        # A changed secret is taken up by a rolling restart.
        checksum/secret: {{ include "peat-mesh.secretData" $root | sha256sum }}
    spec:
      serviceAccountName: {{ include "peat-mesh.serviceAccountName" $root }}
      automountServiceAccountToken: {{ eq (include "peat-mesh.asksKubernetes" $root) "true" }}
      # A Service named peat-… would set variables that look like settings.
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ $v.terminationGracePeriodSeconds }}
      {{- with $v.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $v.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.podSecurityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $v.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        {{- include "peat-mesh.topologySpread" $root | trim | nindent 8 }}
      containers:
        {{- include "peat-mesh.container" (dict "root" $root "isGateway" $isGateway) | nindent 8 }}
        {{- if not $isGateway }}
        {{- range $v.sidecar.containers }}
        {{- $mounts := append (.volumeMounts | default list) (dict "name" "peat-rpc" "mountPath" "/run/peat-sidecar") }}
        - {{ mergeOverwrite (deepCopy .) (dict "volumeMounts" $mounts) | toYaml | nindent 10 | trim }}
        {{- end }}
        {{- end }}
      volumes:
        {{- include "peat-mesh.volumes" (dict "root" $root "isClaimed" $v.persistence.enabled) | trim | nindent 8 }}
  {{- if $v.persistence.enabled }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ $v.persistence.whenDeleted }}
    whenScaled: {{ $v.persistence.whenScaled }}
  volumeClaimTemplates:
    - metadata:
        name: data
        {{- with $v.persistence.annotations }}
        annotations:
          {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        accessModes:
          {{- toYaml $v.persistence.accessModes | nindent 10 }}
        {{- with $v.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ include "peat-mesh.text" $v.persistence.size }}
  {{- end }}
{{- end -}}
