-- A signing secret that is nobody's.
select lshookd.new_secret() as secret;
