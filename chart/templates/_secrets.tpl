{{/* Fails with a sentence where values don't fit together. */}}
{{- define "peat-mesh.check" -}}
{{- $v := .Values -}}
{{- if and $v.formationSecret $v.existingSecret -}}
{{- fail "formationSecret and existingSecret are both given; give one of them" -}}
{{- end -}}
{{- if and (not $v.formationSecret) (not $v.existingSecret) (not (include "peat-mesh.keptSecret" .)) -}}
{{- fail "a formation secret is needed: --set \"formationSecret=$(openssl rand -base64 32)\", the same one at every upgrade and in every cluster of the formation, or existingSecret with the name of a Secret of yours" -}}
{{- end -}}
{{- with $v.formationSecret -}}
{{- if not (regexMatch "^([A-Za-z0-9+/]{4})+([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$" (trim .)) -}}
{{- fail "formationSecret is not standard base64; make one with: openssl rand -base64 32" -}}
{{- end -}}
{{- if lt (len (trim . | b64dec)) 16 -}}
{{- fail "formationSecret has less than 16 bytes; make one with: openssl rand -base64 32" -}}
{{- end -}}
{{- end -}}
{{- if and $v.apiToken $v.existingApiTokenSecret -}}
{{- fail "apiToken and existingApiTokenSecret are both given; give one of them" -}}
{{- end -}}
{{- if and $v.existingSecret $v.formationSecretsAlso -}}
{{- fail "formationSecretsAlso goes into the Secret that existingSecret names, under the key formation-secret-also" -}}
{{- end -}}
{{- if and $v.gateway.enabled $v.gateway.nodePorts (lt (int $v.gateway.replicaCount) (len $v.gateway.nodePorts)) -}}
{{- fail (printf "gateway.nodePorts names %d ports for %d gateways; raise gateway.replicaCount or name fewer" (len $v.gateway.nodePorts) (int $v.gateway.replicaCount)) -}}
{{- end -}}
{{- if regexMatch "^(127\\.|::1$|\\[::1\\]$)" ($v.settings.brokerAddr | default "") -}}
{{- fail (printf "settings.brokerAddr is %s, where neither probes nor other pods reach the broker; leave it out, or give :: in a cluster of IPv6" $v.settings.brokerAddr) -}}
{{- end -}}
{{- if and $v.sidecar.containers (not $v.sidecar.enabled) -}}
{{- fail "sidecar.containers are given but sidecar.enabled is false; set it to true" -}}
{{- end -}}
{{- end -}}

{{/*
The data of the installed Secret, as YAML, at an upgrade that names no secret: what holds goes on to hold.
Nothing where the cluster is not asked (helm template) or there is none.
*/}}
{{- define "peat-mesh.keptSecret" -}}
{{- if and .Release.IsUpgrade (not .Values.formationSecret) (not .Values.existingSecret) -}}
{{- $kept := lookup "v1" "Secret" .Release.Namespace (include "peat-mesh.fullname" .) -}}
{{- if and $kept (hasKey ($kept.data | default dict) "formation-secret") }}{{ toYaml $kept.data }}{{ end -}}
{{- end -}}
{{- end -}}

{{/*
The data of the chart's Secret, as YAML; nothing where all comes from Secrets of yours. A token that is not
given is derived from the formation secret, so that it is the same at every upgrade, and says nothing of it.
*/}}
{{- define "peat-mesh.secretData" -}}
{{- $data := include "peat-mesh.keptSecret" . | fromYaml -}}
{{- with .Values.formationSecret -}}
{{- $_ := set $data "formation-secret" (trim . | b64enc) -}}
{{- end -}}
{{- $also := .Values.formationSecretsAlso -}}
{{- if kindIs "slice" $also }}{{ $also = join "," $also }}{{ end -}}
{{- with $also }}{{ $_ := set $data "formation-secret-also" (b64enc .) }}{{ end -}}
{{- if .Values.apiToken -}}
{{- $_ := set $data "api-token" (b64enc .Values.apiToken) -}}
{{- else if .Values.existingApiTokenSecret -}}
{{- $_ := unset $data "api-token" -}}
{{- else if .Values.formationSecret -}}
{{- $_ := set $data "api-token" (printf "peat-mesh api token:%s" (trim .Values.formationSecret) | sha256sum | b64enc) -}}
{{- end -}}
{{- if $data }}{{ toYaml $data }}{{ end -}}
{{- end -}}

{{/* Variables of the node that come from Secrets. */}}
{{- define "peat-mesh.secretEnv" -}}
{{- $own := include "peat-mesh.fullname" . -}}
{{- $secret := .Values.existingSecret | default $own -}}
{{- $key := ternary .Values.existingSecretKey "formation-secret" (not (empty .Values.existingSecret)) -}}
- name: PEAT_FORMATION_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $key }}
- name: PEAT_FORMATION_SECRET_ALSO
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: formation-secret-also
      optional: true
{{ include "peat-mesh.tokenEnv" . }}
{{- end -}}

{{/* PEAT_API_TOKEN; optional only where nobody can know whether your Secret has one. */}}
{{- define "peat-mesh.tokenEnv" -}}
{{- $own := include "peat-mesh.fullname" . -}}
- name: PEAT_API_TOKEN
  valueFrom:
    secretKeyRef:
{{- if .Values.existingApiTokenSecret }}
      name: {{ .Values.existingApiTokenSecret }}
      key: {{ .Values.existingApiTokenSecretKey }}
{{- else if or .Values.apiToken (not .Values.existingSecret) }}
      name: {{ $own }}
      key: api-token
{{- else }}
      name: {{ .Values.existingSecret }}
      key: api-token
      optional: true
{{- end }}
{{- end -}}
