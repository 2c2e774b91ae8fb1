{{- define "stanchion.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "stanchion.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "stanchion.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "stanchion.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* The labels of an object with a user's own, which win: an operator selects by them. Of a list: the context, and the user's. */}}
{{- define "stanchion.labelsWith" -}}
{{- $own := include "stanchion.labels" (index . 0) | fromYaml -}}
{{- toYaml (merge (dict) (default (dict) (index . 1)) $own) -}}
{{- end -}}

{{/* What podLabels add. Those that the StatefulSet selects by are the chart's. */}}
{{- define "stanchion.podLabels" -}}
{{- $own := include "stanchion.selectorLabels" . | fromYaml -}}
{{- $more := dict -}}
{{- range $key, $value := .Values.podLabels -}}
{{- if not (hasKey $own $key) -}}
{{- $_ := set $more $key $value -}}
{{- else if ne $value (get $own $key) -}}
{{- fail (printf "podLabels: %s is %q on every pod, since the brokers are selected by it: leave it away (nameOverride changes the name)" $key (get $own $key)) -}}
{{- end -}}
{{- end -}}
{{- with $more }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- define "stanchion.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "stanchion.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "stanchion.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "stanchion.natsUrls" -}}
{{- if .Values.nats.urls -}}
{{- join "," .Values.nats.urls -}}
{{- else if .Values.nats.enabled -}}
{{- $port := default 4222 (((.Values.nats.config).nats).port) -}}
nats://{{ include "stanchion.natsService" . }}:{{ int64 (default $port (((.Values.nats.service).ports).nats).port) }}
{{- else -}}
{{- fail "nats.urls is empty: name the NATS servers to attach to, as nats://nats.default:4222, or set nats.enabled" -}}
{{- end -}}
{{- end -}}

{{/* Ports of NATS that a policy must let through, as `{"ports": [...]}`: those given, else those of the URLs. */}}
{{- define "stanchion.natsPorts" -}}
{{- $ports := .Values.networkPolicy.natsPorts -}}
{{- if not $ports -}}
{{- $ports = list -}}
{{- range splitList "," (include "stanchion.natsUrls" .) -}}
{{- /* Behind scheme, credentials and host, which may be an IPv6 address in brackets. */ -}}
{{- $port := regexReplaceAll `^\s*[a-z]+://(?:[^/?#]*@)?(?:\[[^\]]*\]|[^:/?#]*):?([0-9]*).*$` . "${1}" -}}
{{- $ports = append $ports (default "4222" $port | atoi) -}}
{{- end -}}
{{- if and .Values.nats.enabled (not .Values.nats.urls) -}}
{{- /* A policy is asked with the port of the pod that a service leads to. */ -}}
{{- $ports = append $ports (int (default 4222 (((.Values.nats.config).nats).port))) -}}
{{- end -}}
{{- end -}}
{{- dict "ports" (uniq $ports) | toJson -}}
{{- end -}}

{{/* As the chart of NATS names its service. */}}
{{- define "stanchion.natsService" -}}
{{- $nats := .Values.nats -}}
{{- $name := default "nats" $nats.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full $nats.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- default $full ($nats.service).name -}}
{{- end -}}

{{- define "stanchion.claim" -}}
{{- default (printf "%s-store" (include "stanchion.fullname" .)) .Values.persistence.existingClaim -}}
{{- end -}}

{{/* Credentials for NATS: environment, and where files are mounted. Of brokers, and of the test. */}}
{{- define "stanchion.natsEnv" -}}
- name: STANCHION_NATS_SERVER
  value: {{ include "stanchion.natsUrls" . | quote }}
- name: STANCHION_CLUSTER_ID
  value: {{ .Values.clusterId | quote }}
{{- with .Values.auth.existingSecret }}
{{- $secret := . }}
{{- range $variable, $key := dict "STANCHION_USER" "user" "STANCHION_PASS" "pass" "STANCHION_AUTH" "token" }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef: { name: {{ $secret | quote }}, key: {{ $key }}, optional: true }
{{- end }}
{{- end }}
{{- if .Values.auth.credsSecret }}
- name: STANCHION_CREDS
  value: /etc/stanchion/creds/user.creds
{{- end }}
{{- if .Values.auth.nkeySecret }}
- name: STANCHION_NKEY
  value: /etc/stanchion/nkey/seed
{{- end }}
{{- if .Values.tls.existingSecret }}
- name: STANCHION_TLS_CA
  value: /etc/stanchion/tls/ca.crt
{{- if .Values.tls.clientCertificate }}
- name: STANCHION_TLS_CERT
  value: /etc/stanchion/tls/tls.crt
- name: STANCHION_TLS_KEY
  value: /etc/stanchion/tls/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{- define "stanchion.natsMounts" -}}
{{- if .Values.auth.credsSecret }}
- { name: creds, mountPath: /etc/stanchion/creds, readOnly: true }
{{- end }}
{{- if .Values.auth.nkeySecret }}
- { name: nkey, mountPath: /etc/stanchion/nkey, readOnly: true }
{{- end }}
{{- if .Values.tls.existingSecret }}
- { name: tls, mountPath: /etc/stanchion/tls, readOnly: true }
{{- end }}
{{- end -}}

{{- define "stanchion.natsVolumes" -}}
{{- with .Values.auth.credsSecret }}
- name: creds
  secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.auth.nkeySecret }}
- name: nkey
  secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
{{- end }}
{{- with .Values.tls.existingSecret }}
- name: tls
  secret: { secretName: {{ . | quote }}, defaultMode: 0440 }
{{- end }}
{{- end -}}

{{- define "stanchion.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* What values say counts more. Not by `merge`, which takes false for nothing said. */}}
{{- define "stanchion.podSecurityContext" -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- range $key, $value := .Values.podSecurityContext -}}
{{- $_ := set $context $key $value -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Annotations so that what Prometheus' operator scrapes is told apart by group. */}}
{{- define "stanchion.endpoint" -}}
port: http
path: /metrics
{{- if .Values.http.tlsSecret }}
scheme: https
tlsConfig: { insecureSkipVerify: true }
{{- end }}
{{- with .Values.http.existingSecret }}
{{- if $.Values.http.useToken }}
authorization:
  credentials: { name: {{ . | quote }}, key: token }
{{- else }}
basicAuth:
  username: { name: {{ . | quote }}, key: user }
  password: { name: {{ . | quote }}, key: pass }
{{- end }}
{{- end }}
{{- end -}}

{{/* Where brokers may share a node. */}}
{{- define "stanchion.podAntiAffinity" -}}
{{- if eq .Values.podAntiAffinity "hard" }}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "stanchion.selectorLabels" . | nindent 10 }}
{{- else if eq .Values.podAntiAffinity "soft" }}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "stanchion.selectorLabels" . | nindent 12 }}
{{- end }}
{{- end -}}
