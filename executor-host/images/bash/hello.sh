echo "Hello from $(jq -r .name <<<'{"name": "Bash"}')"
