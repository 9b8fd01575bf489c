select * from orders where amount >= 20
