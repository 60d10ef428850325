-- Images that no waiting change can need any more.
delete from lshookd.last_image
where up_to < coalesce((select min(seq) from lshookd.change), 9223372036854775807);
