#!/usr/bin/env bash
# Asks promtool, helm and Kubernetes' schemas what they think of the deployment files.
set -euo pipefail
cd "$(dirname "$0")/.."
HELM_VERSION=v3.16.4
KUBERNETES=1.31
if ! command -v promtool >/dev/null; then
    echo "promtool is missing: apt-get install prometheus" >&2
    exit 1
fi
helm=$(command -v helm || true)
if [ -z "$helm" ]; then
    helm=$PWD/.run/tools/helm
    [ -x "$helm" ] || GOBIN=$PWD/.run/tools go install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION"
fi
promtool check rules deploy/prometheus/alerts.yml
promtool check config deploy/prometheus/prometheus.yml
promtool test rules deploy/prometheus/alerts.test.yml
rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
for values in deploy/helm/twin/values.yaml deploy/helm/twin/ci/*.yaml; do
    "$helm" lint --strict --values "$values" deploy/helm/twin
    "$helm" template twin deploy/helm/twin --kube-version "$KUBERNETES" --values "$values" >"$rendered"
    .venv/bin/yamllint --strict --config-data '{extends: relaxed, rules: {line-length: disable}}' "$rendered"
    .venv/bin/kubernetes-validate --strict --kubernetes-version "$KUBERNETES" "$rendered"
done
