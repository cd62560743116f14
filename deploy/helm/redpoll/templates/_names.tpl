{{- define "redpoll.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "redpoll.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "redpoll.labels" -}}
{{ include "redpoll.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "redpoll.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "redpoll.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The files of redisTlsConfig that are set: value, variable, file. */ -}}
{{- define "redpoll.tlsFiles" -}}
{{- $tls := .Values.redisTlsConfig -}}
{{- $files := list -}}
{{- range list (list "caCertFile" "CA_CERT" "tls-ca-cert.crt") (list "clientCertFile" "CLIENT_CERT" "tls-client-cert.crt") (list "clientKeyFile" "CLIENT_KEY" "tls-client-key.key") (list "serverCertFile" "SERVER_CERT" "tls-server-cert.crt") (list "serverKeyFile" "SERVER_KEY" "tls-server-key.key") -}}
{{- $secret := (index $tls (first .)).secret -}}
{{- if and $tls.enabled $secret.name $secret.key -}}
{{- $files = append $files (dict "secret" $secret "variable" (printf "REDIS_EXPORTER_TLS_%s_FILE" (index . 1)) "file" (last .)) -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- define "redpoll.probeScheme" -}}
{{- if and .Values.redisTlsConfig.enabled .Values.redisTlsConfig.serverCertFile.secret.name -}}HTTPS{{- else -}}HTTP{{- end -}}
{{- end -}}

{{- /* What a Deployment and a StatefulSet have in common. */ -}}
{{- define "redpoll.pod" -}}
{{- $tlsFiles := include "redpoll.tlsFiles" . | fromJsonArray -}}
{{- $passwords := .Values.auth.redisPasswordFile -}}
{{- $hasPasswords := and .Values.auth.enabled $passwords.secret.name $passwords.secret.key -}}
metadata:
  labels:
    {{- include "redpoll.labels" . | nindent 4 }}
    {{- with .Values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "redpoll.account" . }}
  automountServiceAccountToken: false
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: {{ .Chart.Name }}
      image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- with .Values.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      args:
        - --web.listen-address=:9121
        {{- if .Values.config }}
        - --config.file=/etc/redpoll/redis_exporter.yml
        - --watch
        {{- end }}
        {{- if gt (int .Values.shards) 1 }}
        - --shard.total={{ int .Values.shards }}
        - --shard.index=auto
        {{- end }}
        {{- range $flag, $value := .Values.extraArgs }}
        {{- range kindIs "slice" $value | ternary $value (list $value) }}
        - {{ printf "--%s=%v" $flag (kindIs "float64" . | ternary (toJson .) .) | quote }}
        {{- end }}
        {{- end }}
      ports:
        - name: exporter-port
          containerPort: 9121
      env:
        {{- if .Values.redisAddressConfig.enabled }}
        - name: REDIS_ADDR
          valueFrom:
            {{ ternary "secretKeyRef" "configMapKeyRef" .Values.redisAddressConfig.isSecret }}:
              {{- toYaml .Values.redisAddressConfig.source | nindent 14 }}
        {{- else if not .Values.config }}
        - name: REDIS_ADDR
          value: {{ .Values.redisAddress | quote }}
        {{- end }}
        {{- if and .Values.redisTlsConfig.enabled .Values.redisTlsConfig.skipTlsVerification }}
        - name: REDIS_EXPORTER_SKIP_TLS_VERIFICATION
          value: "true"
        {{- end }}
        {{- range $tlsFiles }}
        - name: {{ .variable }}
          value: {{ $.Values.redisTlsConfig.mountPath }}/{{ .file }}
        {{- end }}
        {{- if .Values.auth.enabled }}
        {{- with .Values.auth.redisUser }}
        - name: REDIS_USER
          value: {{ . | quote }}
        {{- end }}
        {{- if $hasPasswords }}
        - name: REDIS_PASSWORD_FILE
          value: {{ $passwords.mountPath }}/{{ $passwords.secret.key }}
        {{- else }}
        - name: REDIS_PASSWORD
          valueFrom:
            secretKeyRef:
              name: {{ .Values.auth.secret.name | default (include "redpoll.fullname" .) }}
              key: {{ .Values.auth.secret.key | default "redis-password" }}
        {{- end }}
        {{- end }}
        {{- if .Values.script }}
        - name: REDIS_EXPORTER_SCRIPT
          value: /script/script.lua
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      # The process, not Redis: a restart heals no server that is down.
      livenessProbe:
        httpGet: {path: /-/healthy, port: exporter-port, scheme: {{ include "redpoll.probeScheme" . }}}
        periodSeconds: 10
        timeoutSeconds: 5
      # The first round of polls has ended, whatever it found.
      readinessProbe:
        httpGet: {path: /-/ready, port: exporter-port, scheme: {{ include "redpoll.probeScheme" . }}}
        periodSeconds: 5
        timeoutSeconds: 5
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        {{- if .Values.config }}
        - {name: config, mountPath: /etc/redpoll, readOnly: true}
        {{- end }}
        {{- if .Values.script }}
        - {name: script, mountPath: /script, readOnly: true}
        {{- end }}
        {{- if $hasPasswords }}
        - {name: passwords, mountPath: {{ $passwords.mountPath }}, readOnly: true}
        {{- end }}
        {{- if $tlsFiles }}
        - {name: tls, mountPath: {{ .Values.redisTlsConfig.mountPath }}, readOnly: true}
        {{- end }}
  volumes:
    {{- if .Values.config }}
    - name: config
      configMap:
        name: {{ include "redpoll.fullname" . }}
    {{- end }}
    {{- if .Values.script }}
    - name: script
      configMap:
        name: {{ .Values.script.configmap }}
        items:
          - {key: {{ .Values.script.keyname }}, path: script.lua}
    {{- end }}
    {{- if $hasPasswords }}
    - name: passwords
      secret:
        secretName: {{ $passwords.secret.name }}
    {{- end }}
    {{- if $tlsFiles }}
    - name: tls
      projected:
        sources:
          {{- range $tlsFiles }}
          - secret:
              name: {{ .secret.name }}
              items:
                - {key: {{ .secret.key }}, path: {{ .file }}}
          {{- end }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
