-- Everything of ours lives here; Label Studio's schema gets triggers and nothing else.
create schema if not exists lshookd;
