SELECT 'Hello from ' || ?1;
