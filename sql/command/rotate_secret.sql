-- Gives a webhook a new signing secret.
select lshookd.rotate_secret($1) as secret;
