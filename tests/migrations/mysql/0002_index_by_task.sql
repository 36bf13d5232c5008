create index `task_executions_by_task` on `task_executions` (status, task_id, start_at);
create table if not exists `task_executions_migrations` (
  number integer primary key,
  name varchar(64) not null,
  applied_at bigint not null,
  version varchar(64) not null
) engine = InnoDB;
insert ignore into `task_executions_migrations` (number, name, applied_at, version)
  values (2, 'index_by_task', cast(unix_timestamp(sysdate(3)) * 1000 as signed), '0.2.0');
